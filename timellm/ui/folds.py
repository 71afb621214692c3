"""Would retraining have helped? A run trained again at each fold of its test period, on the Metrics page.

Inputs: the finished run on the page.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from timellm.errors import TimeLLMError
from timellm.evaluation.metrics import METRICS
from timellm.jobs.local.folds import METRICS_OF_FOLDS, WINDOWS, Folds
from timellm.jobs.local.group import progress_of_group
from timellm.jobs.local.launcher import supervise
from timellm.jobs.store.run import Run
from timellm.ui import keys
from timellm.ui.errors import show_error, without_server_paths
from timellm.ui.loaders import store
from timellm.ui.run_results import Results
from timellm.ui.words import plain

_TICK_S = 3.0
_FAILURE = keys.view("metrics", "folds-failure")
_COLUMNS = {
    "fold": st.column_config.NumberColumn("Fold", width="small"),
    "windows": st.column_config.NumberColumn("Windows", format="localized"),
    "error": st.column_config.NumberColumn("Trained once", format="%.4g"),
    "retrained_error": st.column_config.NumberColumn("Retrained", format="%.4g"),
    "change": st.column_config.NumberColumn(
        "Change", format="percent", help="How much larger the error is after retraining; below 0 it is smaller."
    ),
}


def show(results: Results, metric: str) -> None:
    """The part of the page that retrains the run at each fold."""
    run = results.run
    if run.state != "finished" or run.config.kind == "ensemble":
        return
    metric = metric if metric in METRICS_OF_FOLDS else "mae"
    with st.expander("Would retraining have helped?", icon=":material/model_training:"):
        left, right = st.columns(2)
        count = left.number_input("Folds", 2, 24, 3, key=keys.view("metrics", "folds"))
        window = right.segmented_control(
            "Training window", WINDOWS, default=WINDOWS[0], required=True, format_func=str.capitalize,
            key=keys.view("metrics", "window"),
            help="Expanding: each fold learns from all rows before it. Sliding: from as many rows as this run did.",
        )  # fmt: skip
        try:
            folds = Folds.of(run.run_dir, folds=int(count), window=window, name=run.name)
            found = folds.find(store())
        except TimeLLMError as error:
            show_error("This run cannot be retrained in folds", str(error))
            return
        if failure := st.session_state.pop(_FAILURE, None):
            show_error("The folds were not started", failure)
        if any(one is not None and one.active for one in found):
            _at_work(folds)
        else:
            _ended(folds, found, metric)


def _at_work(folds: Folds) -> None:
    @st.fragment(run_every=_TICK_S)
    def live() -> None:
        try:
            supervise(store())
            found = folds.find(store())
        except TimeLLMError as error:
            show_error("The folds cannot be shown", str(error))
            return
        if not any(one is not None and one.active for one in found):
            st.rerun()  # the whole page has the table then
        finished = sum(one is not None and one.state == "finished" for one in found)
        st.progress(finished / len(found), text=progress_of_group(found, "folds"))

    live()


def _ended(folds: Folds, found: Sequence[Run | None], metric: str) -> None:
    try:
        report = folds.report(found, metric)
    except TimeLLMError as error:
        show_error("The folds cannot be compared", str(error))
        return
    if report is None:
        st.markdown(
            "The run is trained again at each fold of the test period, on what came before it, and forecasts that fold."
            " Every test window lies in one fold. The folds are runs in the list, and each takes as long as this one."
        )
    else:
        st.markdown(f"**{plain(report.sentence)}**")
        frame = pd.DataFrame(report.to_dict()["rows"])
        st.dataframe(frame, hide_index=True, column_config=_COLUMNS, placeholder="", alt="Errors by fold")
        st.caption(f"{METRICS[report.metric].short} of each fold's windows.")
    for one in found:
        if one is not None and one.state in ("failed", "stopped"):
            why = f": {without_server_paths(one.error)}" if one.error else ""
            st.caption(f":material/error: {plain(one.name)} {one.state}{plain(why)}")
    if any(one is None or one.state != "finished" for one in found):
        st.button(
            "Retrain in folds" if report is None else "Train what is missing", icon=":material/play_arrow:",
            on_click=_start, args=(folds,), key=keys.view("metrics", "start-folds"),
        )  # fmt: skip


def _start(folds: Folds) -> None:
    try:
        folds.start(store(), again=True)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
