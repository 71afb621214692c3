"""Watching runs: the table of all of them, and one of them live. Both read the store and nothing else.

The live parts are fragments that tick only while something is active, so a page of finished runs stays still.
"""

from __future__ import annotations

from functools import lru_cache

import pandas as pd
import streamlit as st

from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.jobs.event import Artefact, Event
from timellm.jobs.launcher import tend
from timellm.jobs.run import Run, log_tail
from timellm.plots.curves import loss_rows, loss_spec
from timellm.ui import keys
from timellm.ui.errors import explained, show_error
from timellm.ui.loaders import store
from timellm.ui.words import QUANTIZATION, ago, duration, memory, number, overall_share, phase_line

_TABLE_KEY, _ROWS_KEY = keys.view("runs", "table"), keys.view("runs", "rows")
_TICK_S, _TABLE_TICK_S = 2.0, 5.0  # every redraw takes from the two cores that train


def runs_frame(runs: tuple[Run, ...]) -> pd.DataFrame:
    """One row a run, in words; numbers stay numbers so that columns sort."""
    rows = []
    for run in runs:
        backbone, quantization = _backbone(run.config_text)
        rows.append(
            {
                "Run": run.name,
                "State": "stopping" if run.active and run.stop_requested else run.state,
                "Progress": overall_share(run) if run.active or run.state == "finished" else None,
                "Time left": duration(run.eta_s) if run.state == "running" else "",
                "Best validation MSE": run.best_validation_loss,
                "Skill": None if (skill := run.summary.get("skill")) is None else 100 * skill,
                "Backbone": backbone,
                "Quantization": quantization,
                "Started": ago(run.started or run.created),
            }
        )
    return pd.DataFrame(rows)


@lru_cache(maxsize=4096)  # the table is drawn again every few seconds, and a run's settings never change
def _backbone(config_text: str) -> tuple[str, str]:
    try:
        model = RunConfig.from_json(config_text).model
    except ConfigError:  # written by another version; its row must not hide the others
        return "unreadable", "unreadable"
    return model.backbone, QUANTIZATION[model.quantization]


RUNS_COLUMNS = {
    "Run": st.column_config.TextColumn(width="medium"),
    "Progress": st.column_config.ProgressColumn(min_value=0, max_value=1, format="percent", width="small"),
    "Best validation MSE": st.column_config.NumberColumn(
        "Best validation", format="%.3f", help="Lowest MSE on z-scored validation windows so far."
    ),
    "Skill": st.column_config.NumberColumn(
        format="%+.0f %%", help="How much lower the test MAE is than the seasonal naive's; negative is worse."
    ),
}


def runs_table() -> None:
    """Every run, newest first; choosing a row chooses the run. Ticks while a run is active."""
    active = any(run.active for run in store().runs())

    @st.fragment(run_every=_TABLE_TICK_S if active else None)
    def table() -> None:
        tend(store())
        runs = store().runs()
        ids = [run.id for run in runs]
        st.session_state[_ROWS_KEY] = ids
        shown = [ids.index(keys.chosen("run"))] if keys.chosen("run") in ids else []
        st.dataframe(
            runs_frame(runs),
            column_config=RUNS_COLUMNS,
            hide_index=True,
            height=min(38 + 35 * len(runs), 320),
            key=_TABLE_KEY,
            on_select=_row_chosen,
            selection_mode="single-row",
            selection_default={"selection": {"rows": shown}},
            placeholder="",
            alt="Runs, newest first",
        )

    table()


def history_rows(events: tuple[Event, ...]) -> list[dict[str, str]]:
    """What happened to a run as table rows, oldest first; times in UTC."""
    return [
        {"When (UTC)": f"{event.at:%Y-%m-%d %H:%M:%S}", "What": event.kind.capitalize(), "Detail": event.detail}
        for event in events
    ]


def file_rows(files: tuple[Artefact, ...]) -> list[dict[str, str]]:
    """The files a run has left as table rows."""
    return [{"File": file.path, "Size": f"{file.size_bytes / 1000:,.1f} kB"} for file in files]


def _row_chosen() -> None:
    rows = st.session_state[_TABLE_KEY].selection.rows
    ids = st.session_state.get(_ROWS_KEY, [])
    if rows and rows[0] < len(ids):
        keys.choose("run", ids[rows[0]])
        st.rerun()  # the table is a fragment; the rest of the page shows the chosen run


def watch(run_id: str) -> None:
    """One run's phase, bar, losses and load; ticks while active, and redraws the whole page when the state changes."""
    before = store().get(run_id)

    @st.fragment(run_every=_TICK_S if before.active else None)
    def live() -> None:
        with explained("This run cannot be shown"):
            tend(store())
            run = store().get(run_id)
        if run.state != before.state:
            st.rerun()  # a new state changes words, links, actions and results all over the page
        _header(run)
        _numbers(run)
        curve = store().curve(run_id)
        if len(curve):
            training = run.config.training
            planned = training.steps if run.active and training.minutes is None else None
            st.vega_lite_chart(
                loss_rows(curve),
                loss_spec(planned),
                key=f"curves/{run_id}",
                alt="Training and validation loss by step",
            )
        elif run.active:
            st.caption("The loss curves appear with the first training steps.")
        with st.expander("Log", icon=":material/terminal:", expanded=run.state == "failed"):
            st.code(log_tail(run.log_file) or "Nothing has been written yet.", language=None, height=260)

    live()


def _header(run: Run) -> None:
    if run.active:
        line = "Stopping after this step; the best checkpoint is kept" if run.stop_requested else phase_line(run)
        left = f" · {duration(run.eta_s)} left" if run.eta_s is not None else ""
        st.progress(overall_share(run), text=f"{line}{left}")
    elif run.state == "failed":
        show_error("This run failed", run.error or "The cause was not recorded; the log may say more.")
    elif run.state == "stopped" and not run.summary:
        st.info("This run was stopped before it had anything to keep.", icon=":material/info:")


def _numbers(run: Run) -> None:
    with st.grid("auto", min_column_width=150):
        st.metric("Working time", duration(run.seconds) if run.seconds is not None else "–")
        st.metric("Train loss", number(run.train_loss, 3), help="On z-scored values, averaged since the last report.")
        st.metric(
            "Validation MSE", number(run.validation_loss, 3), help="On z-scored values, last time it was measured."
        )
        st.metric("Best validation", number(run.best_validation_loss, 3), help="The checkpoint that is kept.")
        st.metric(
            "Throughput",
            f"{number(run.windows_per_s, 3)} windows/s" if run.windows_per_s is not None else "–",
            help="Windows trained on, or evaluated, in a second.",
        )
        st.metric("Memory", memory(run.memory_mib), help="Peak of the process, or what is allocated on the GPU.")
