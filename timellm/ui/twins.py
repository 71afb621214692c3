"""Is the language model earning its cost? One click trains twins of a run; then a table and a sentence say it.

Inputs: the finished run on the page. It draws nothing for a run without a language model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from timellm.config import TimeLLMConfig
from timellm.errors import TimeLLMError
from timellm.evaluation.twins import TwinsReport, in_set
from timellm.jobs.local.launcher import supervise
from timellm.jobs.local.twins import Original, Placed, find_twins, progress_words, report, start_twins
from timellm.jobs.store.run import Run
from timellm.ui import keys
from timellm.ui.errors import show_error, without_server_paths
from timellm.ui.loaders import store
from timellm.ui.run_results import Results
from timellm.ui.words import about, plain, without_minus_zero

_TICK_S = 3.0
_FAILURE = keys.view("metrics", "twins-failure")
_COLUMNS = {
    "twin": st.column_config.TextColumn("", width=155),
    "mse": st.column_config.NumberColumn("MSE", help="On z-scored values, over all test windows.", format="%.4g"),
    "mae": st.column_config.NumberColumn("MAE", help="On z-scored values, over all test windows.", format="%.4g"),
    "change": st.column_config.NumberColumn(
        "MSE to run", format="percent", help="How much larger its MSE is than that of this run."
    ),
    "p": st.column_config.NumberColumn(
        "p", format="%.2g",
        help="How often luck alone would make such a difference to this run (Diebold-Mariano test on means over blocks "
        "of one horizon). Empty: no test could be made, or it is this run.",
    ),
    "best": st.column_config.TextColumn(
        "May be best", help="Model confidence set: whether it cannot be told from the best one, at 90 %."
    ),
    "seconds": st.column_config.NumberColumn(
        "Seconds", format="%.0f", help="Of the whole run, from the table to the forecast."
    ),
    "memory": st.column_config.NumberColumn("Memory, MB", format="%.0f", help="Peak of its process, or of the GPU."),
}  # fmt: skip
_STATES = {"queued": "waiting", "running": "at work"}


def show(results: Results) -> None:
    """The part of the page that asks whether the run's language model is worth it."""
    run = results.run
    forecaster = run.config.forecaster
    if run.state != "finished" or not isinstance(forecaster, TimeLLMConfig) or forecaster.body != "language_model":
        return
    st.header("Is the language model earning its cost?", anchor=False)
    try:
        placed = find_twins(_original(run), store())
    except TimeLLMError as error:  # the rest of the page does not depend on it
        show_error("This run can have no twins", str(error))
        return
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The twins were not started", failure)
    if all(one.run is None for one in placed):
        _nothing_yet(run, placed)
    elif any(one.run is not None and one.run.active for one in placed):
        _at_work(run, placed)
    else:
        _ended(run, placed)
    with st.expander("What each twin is", icon=":material/help:"):
        st.markdown("\n".join(f"- **{one.twin.title}**: {one.twin.purpose}" for one in placed))
        st.caption("Table, windows, seed and number of steps are those of this run, and so is every other part.")


def _original(run: Run) -> Original:
    return Original.of(run.run_dir, name=run.name)


def _nothing_yet(run: Run, placed: Sequence[Placed]) -> None:
    seconds = run.summary.get("seconds") or 0.0
    known = seconds > 0 and math.isfinite(seconds)
    longest = f" They take about {about(seconds * (len(placed) - 1))} at most." if known else ""
    st.markdown(
        f"Train {len(placed)} twins of this run, each with one part replaced and all else equal: without the prompt, "
        "without the reprogramming, without the language model, with random weights, the linear path alone … "
        f"Then one sentence says whether the language model was worth it.{longest}"
    )
    _start_button("Train the twins", run, again=False)


def _at_work(run: Run, before: Sequence[Placed]) -> None:
    @st.fragment(run_every=_TICK_S)
    def live() -> None:
        try:
            supervise(store())
            placed = find_twins(_original(run), store())
        except TimeLLMError as error:
            show_error("The twins cannot be shown", str(error))
            return
        if not any(one.run is not None and one.run.active for one in placed):
            st.rerun()  # the whole page has the table then
        finished = sum(one.run is not None and one.run.state == "finished" for one in placed)
        st.progress(finished / len(placed), text=progress_words(placed))
        rows = [{"Twin": one.twin.title, "State": _state(one.run)} for one in placed]
        st.dataframe(rows, hide_index=True, alt="Twins and their states")

    live()
    _link_to_all(run)


def _ended(run: Run, placed: Sequence[Placed]) -> None:
    unfinished = [one for one in placed if one.run is None or one.run.state != "finished"]
    ends = tuple((one.run.id, str(one.run.ended)) for one in placed if one.run is not None)
    try:
        found = _report(str(run.run_dir), str(run.ended), ends, _original(run), tuple(placed))
    except TimeLLMError as error:
        show_error("The twins cannot be compared", str(error))
        found = None
    if found is not None:
        box = {"yes": st.success, "no": st.warning}.get(found.answer, st.info)
        icon = {"yes": ":material/trending_up:", "no": ":material/trending_flat:"}.get(found.answer, ":material/info:")
        box(plain(found.sentence), icon=icon)
        st.dataframe(
            _frame(found), hide_index=True, column_config=_COLUMNS, placeholder="", alt="This run and its twins"
        )
        for note in found.notes:
            st.caption(f":material/info: {plain(note)}")
    for one in unfinished:
        why = f": {without_server_paths(one.run.error)}" if one.run is not None and one.run.error else ""
        st.caption(f":material/error: {one.twin.title} {_said(one.run)}{plain(why)}")
    if unfinished:
        st.caption("The sentence leaves them out.")
        _start_button("Train what is missing", run, again=True)
    _link_to_all(run)


@st.cache_data(max_entries=32, show_spinner="Comparing the twins …")
def _report(
    run_dir: str, ended: str, ends: tuple[tuple[str, str], ...], _original: Original, _placed: tuple[Placed, ...]
) -> TwinsReport | None:
    return report(_original, _placed)


def _frame(found: TwinsReport) -> pd.DataFrame:
    words = {True: "yes", False: "no", None: None}
    frame = pd.DataFrame(
        {
            "twin": row.title,
            "mse": row.mse,
            "change": None if row.change is None else without_minus_zero(row.change, decimals=4),
            "mae": row.mae,
            "p": row.p_value,
            "best": words[in_set(row)],
            "seconds": row.seconds,
            "memory": None if row.memory_mib is None else row.memory_mib * 1.048576,
        }
        for row in found.rows
    )
    return frame.drop(columns=[name for name in ("p", "best") if frame[name].isna().all()])


def _state(run: Run | None) -> str:
    return "not started" if run is None else _STATES.get(run.state, run.state)


def _said(run: Run | None) -> str:
    return "has no run" if run is None else {"failed": "failed", "stopped": "was stopped"}.get(run.state, run.state)


def _start_button(label: str, run: Run, *, again: bool) -> None:
    st.button(
        label, icon=":material/play_arrow:", key=keys.view("metrics", "start-twins"), on_click=_start,
        args=(run, again), help="Each becomes a run of its own in the queue, one after the other.",
    )  # fmt: skip


def _start(run: Run, again: bool) -> None:
    try:
        start_twins(_original(run), store(), again=again)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


def _link_to_all(run: Run) -> None:
    st.page_link(
        "runs.py", label="The twins on the Runs page", icon=":material/list:", query_params={"tag": _original(run).tag}
    )
