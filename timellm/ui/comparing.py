"""Runs side by side on a page: which ones, how good and how costly, their curves on one axis, and where they differ."""

from __future__ import annotations

from typing import Any

import streamlit as st

from timellm.errors import CheckpointError
from timellm.evaluation.metrics import METRICS
from timellm.jobs.store.comparison import MOST, Comparison, Row
from timellm.jobs.store.listing import list_runs
from timellm.jobs.store.run import Run
from timellm.plots.curves import compared_rows, compared_spec
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.run_results import baseline_to_beat
from timellm.ui.settings import label, shown
from timellm.ui.words import ago, duration, memory, number, plain, state_badge

_PICK = keys.view("compare", "runs")
_MOST_BASELINES = 3
_OF, _OF_MAE = " of ", "mae of "  # as in Comparison.measures
_MOST_POINTS = 600  # of one curve
_MEASURES = {
    "best_validation_loss": "Best validation MSE, z-scored",
    "best_step": "at step",
    "skill": "Skill against the best other model",
    "seconds": "Working time",
    "windows_per_s": "Throughput, windows/s",
    "memory_mib": "Peak memory",
}


def pick() -> tuple[str, ...]:
    """A box of runs to choose from, whose choice is in the URL; returns the ids of those that are still there."""
    listed = {run.id: run for run in list_runs(store().database)}
    wanted = keys.compared()
    here = [run_id for run_id in wanted if run_id in listed][:MOST]
    st.session_state[_PICK] = here  # the URL decides
    st.multiselect(
        "Runs", list(listed), key=_PICK, max_selections=MOST, placeholder=f"Choose two to {MOST} runs",
        format_func=lambda run_id: f"{listed[run_id].name} · {listed[run_id].state} · {ago(listed[run_id].created)}",
        on_change=lambda: keys.compare(st.session_state[_PICK]),
    )  # fmt: skip
    if gone := [run_id for run_id in wanted if run_id not in listed]:
        st.info(f"Left out, because there is no such run (any more): {plain(', '.join(gone))}.", icon=":material/info:")
    return tuple(here)


def heads(comparison: Comparison) -> None:
    """Each run's name, which leads to it, and its state."""
    with st.grid("auto", min_column_width=260):
        for run, name in zip(comparison.runs, comparison.labels(), strict=True):
            with st.container(border=True):
                st.page_link("runs.py", label=f"**{plain(name)}**", query_params={"run": run.id})
                st.markdown(f"{state_badge(run)} {ago(run.started or run.created)}")


def measures(comparison: Comparison) -> None:
    """Errors at their best and costs, a column for each run; the best of a row is marked, where there is a best.

    The baselines have columns of their own where they are the same for all runs, and otherwise rows under the MAE.
    """
    by_name = {row.name: row for row in comparison.measures}
    baselines = _best([row for name, row in by_name.items() if name.startswith(_OF_MAE)])
    rows = [row for row in comparison.measures if _OF not in row.name]
    if not comparison.same_windows:
        rows = [row for row in comparison.measures if _OF not in row.name or row.name.startswith(_OF_MAE)]
    columns: dict[str, list[str]] = {"": [_measure_name(row.name) for row in rows]}
    for place, name in enumerate(comparison.labels()):
        columns[plain(name)] = [_marked(row, place) for row in rows]
    if comparison.same_windows:
        for name in baselines:
            columns[f":gray[{name}]"] = [_of_baseline(by_name.get(f"{row.name}{_OF}{name}")) for row in rows]
    st.table(columns, border="horizontal", hide_index=True)


def _best(rows: list[Row]) -> list[str]:
    """The simple models with the lowest error, a few of them: each takes a column."""
    known = [(min(value for value in row.values if value is not None), row.name) for row in rows]
    return [name.removeprefix(_OF_MAE) for _, name in sorted(known)][:_MOST_BASELINES]


def curves(comparison: Comparison) -> None:
    """The runs' losses on one axis, with the baseline where all were validated on the same windows."""
    with st.container(horizontal=True, vertical_alignment="center"):
        part = st.segmented_control(
            "Loss", ["Validation", "Train"], default="Validation", required=True, label_visibility="collapsed",
            width="content", **keys.in_address("loss"),
        )  # fmt: skip
        log = st.toggle("Logarithmic axis", **keys.in_address("log"))
    column = "validation_loss" if part == "Validation" else "train_loss"
    labels = comparison.labels()
    found = {name: store().curve(run.id, most=_MOST_POINTS) for run, name in zip(comparison.runs, labels, strict=True)}
    measured = {name: curve for name, curve in found.items() if curve[column].notna().any()}
    if not measured:
        st.caption("None of these runs has been trained far enough for a curve.")
        return
    baseline = _shared_baseline(comparison.runs) if part == "Validation" else None
    st.vega_lite_chart(
        compared_rows(measured, column=column, baseline=baseline),
        compared_spec(labels, baseline[0] if baseline else None, log=log),
        key=f"compared/{part}",
        alt=f"{part} loss of the compared runs by step",
    )
    if part == "Train" and len({run.config.training.loss for run in comparison.runs if run.config.training}) > 1:
        st.caption("The runs are trained on different losses, so these curves cannot be compared.")


def settings(comparison: Comparison) -> None:
    """Settings in which the runs differ, or all of them."""
    everything = st.toggle("All settings", **keys.in_address("everything"))
    rows = [row for row in comparison.settings if everything or row.differs]
    if not rows:
        st.markdown("These runs have the same settings.")
        return
    columns = {"Setting": [label(row.name) for row in rows]}
    for place, name in enumerate(comparison.labels()):
        columns[plain(name)] = [plain(shown(row.name, row.values[place])) for row in rows]
    st.table(columns, border="horizontal", hide_index=True)


def _shared_baseline(runs: tuple[Run, ...]) -> tuple[str, float] | None:
    """The baseline's validation error, if it is the same for every run, as it is on the same windows."""
    try:
        found = {baseline_to_beat(run) for run in runs}
    except CheckpointError as error:
        show_error("There is no baseline beside these curves", str(error))
        return None
    return found.pop() if len(found) == 1 else None


def _measure_name(name: str) -> str:
    metric, of, baseline = name.partition(_OF)
    if of:
        return f":gray[of {baseline}]"
    return f"**{_MEASURES.get(metric) or 'Test ' + METRICS[metric].title}**"


def _of_baseline(row: Row | None) -> str:
    known = [value for value in row.values if value is not None] if row else []
    return f":gray[{_in_words(row.name, known[0])}]" if row and known else ""


def _marked(row: Row, place: int) -> str:
    value = _in_words(row.name, row.values[place])
    told_apart = any(_in_words(row.name, other) != value for other in row.values if other is not None)
    if place in row.best and told_apart:
        return f"**{value}** :green-badge[best]"
    return f":gray[{value}]" if _OF in row.name else value


def _in_words(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "seconds":
        return duration(value)
    if name == "memory_mib":
        return memory(value)
    if name == "skill":
        return f"{value:+z.1%}"
    return f"{value:,}" if isinstance(value, int) else number(value)
