"""Runs on one leaderboard, on the page that compares them: ranks, what tells them apart, and their test forecasts.

Inputs: the compared runs, of which those count that have finished and were scored on the same windows as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.errors import TimeLLMError
from timellm.evaluation.metrics import COMPARED, METRICS
from timellm.jobs.local.launcher import start_run
from timellm.plots.forecast import backtest_chart
from timellm.plots.template import looks_of_runs
from timellm.ui import charts, keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.pickers import has_results
from timellm.ui.run_results import Results
from timellm.ui.scoreboard import columns
from timellm.ui.words import moment, plain, without_minus_zero

if TYPE_CHECKING:
    from timellm.evaluation.board_of_runs import RunsBoard
    from timellm.evaluation.others import OtherRun
    from timellm.evaluation.significance import Comparison as Tested
    from timellm.jobs.store.comparison import Comparison
    from timellm.jobs.store.run import Run


_FAILURE, _MADE = keys.view("compare", "failure"), keys.view("compare", "made")


def comparable(comparison: Comparison) -> tuple[list[OtherRun], list[str]]:
    """Runs with scores on the windows of the first of them, by their labels; and the labels of the others."""
    from timellm.evaluation.others import OtherRun

    found: list[OtherRun] = []
    left_out = []
    for run, name in zip(comparison.runs, comparison.labels(), strict=True):
        try:
            scores = Results(run).scores() if has_results(run) else None
        except TimeLLMError:  # the run's own page says what is wrong with it
            scores = None
        wanted = found[0].scores.scored.window_set if found else None
        fits = (
            scores is not None
            and scores.scored.window_set
            and scores.scored.window_set == (wanted or scores.scored.window_set)
        )
        if scores is not None and fits:
            found.append(OtherRun(name, run.run_dir, scores))
        else:
            left_out.append(name)
    return found, left_out


def show(comparison: Comparison) -> None:
    """The leaderboard, the test between any two, and the forecasts on one chart."""
    runs, left_out = comparable(comparison)
    st.header("Leaderboard", anchor=False)
    if len(runs) < 2:
        st.caption("Two or more finished runs that were scored on the same test windows get a leaderboard here.")
        return
    if left_out:
        st.caption(f"Left out, not finished or scored on other windows: {plain(', '.join(left_out))}.")
    metric = st.selectbox(
        "Metric", list(METRICS), format_func=lambda name: METRICS[name].title, **keys.in_address("metric")
    )
    ended = tuple(f"{run.id} {run.ended}" for run in comparison.runs)
    try:
        board = _board(tuple(one.name for one in runs), ended, metric, runs, comparison.runs)
    except TimeLLMError as error:
        show_error("These runs cannot be ranked", str(error))
        return
    st.dataframe(
        _frame(board), hide_index=True, column_config=_columns(board), alt="Runs and simple forecasts, best first",
        placeholder="",
    )  # fmt: skip
    for said in filter(None, (board.sentence(), *board.notes)):
        st.caption(plain(said))
    if metric in COMPARED:
        _two(runs, board, ended, metric)
    _offer_ensemble(runs)
    _overlay(comparison, runs)


def _offer_ensemble(runs: Sequence[OtherRun]) -> None:
    """A button that makes the compared runs one more run."""
    with st.popover("Make an ensemble …", icon=":material/join:"):
        st.caption(
            f"One more run whose forecasts are those of these {len(runs)}, combined point by point. It takes seconds,"
            " has scores, bands and a forecast to download, and stays when one of them is deleted."
        )
        how = st.segmented_control(
            "Combined by", ["mean", "median"], default="mean", required=True, format_func=str.capitalize,
            key=keys.view("compare", "how"),
        )  # fmt: skip
        st.button(
            "Make it", type="primary", on_click=_start_ensemble, args=(list(runs), how),
            key=keys.view("compare", "ensemble"),
        )  # fmt: skip
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The ensemble was not started", failure)
    if (made := st.session_state.get(_MADE)) is not None:
        st.page_link("runs.py", label="To the ensemble", icon=":material/arrow_forward:", query_params={"run": made})


def _start_ensemble(runs: list[OtherRun], how: str) -> None:
    from timellm.forecasting.ensemble import ensemble_config

    try:
        config = ensemble_config([one.folder for one in runs], how=how)
        name = f"{how.capitalize()} of {', '.join(one.name for one in runs)}"
        st.session_state[_MADE] = start_run(config, name=name, store=store()).id
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


@st.cache_resource(max_entries=16, show_spinner="Ranking the runs …")
def _board(
    names: tuple[str, ...], ended: tuple[str, ...], metric: str, _runs: list[OtherRun], _rows: tuple[Run, ...]
) -> RunsBoard:
    from timellm.evaluation.board_of_runs import board_of_runs
    from timellm.evaluation.leaderboard import Cost

    by_folder = {run.run_dir: run for run in _rows}
    costs = {one.name: Cost(by_folder[one.folder].seconds, by_folder[one.folder].memory_mib) for one in _runs}
    return board_of_runs(_runs, metric, costs=costs)


@st.cache_resource(max_entries=64, show_spinner="Testing the difference …")
def _tested(names: tuple[str, str], ended: tuple[str, ...], metric: str, _one: OtherRun, _other: OtherRun) -> Tested:
    from timellm.evaluation.board_of_runs import compare_two

    return compare_two(_one, _other, metric)


def _frame(board: RunsBoard) -> pd.DataFrame:
    words = {True: "yes", False: "no", None: None}
    frame = pd.DataFrame(
        {
            "rank": row.rank,
            board.metric: row.error,
            "model": f"{row.model} · run" if row.model in board.runs else row.model,
            "skill": without_minus_zero(row.skill, decimals=4),
            "won": board.won.get(row.model),
            "best": words[board.may_be_best(row.model)],
            "seconds": row.cost.seconds,
            "memory": None if row.cost.memory_mib is None else row.cost.memory_mib * 1.048576,
        }
        for row in board.rows
    )
    return frame.drop(columns=[name for name in ("skill", "won", "best", "memory") if frame[name].isna().all()])


def _columns(board: RunsBoard) -> dict:
    return columns(board.metric, board.naive) | {
        "best": st.column_config.TextColumn(
            "May be best", help="Model confidence set: whether the run cannot be told from the best one, at 90 %."
        ),
        "seconds": st.column_config.NumberColumn(
            "Seconds", format="%.0f", help="Of the whole run, from the table to the forecast."
        ),
        "memory": st.column_config.NumberColumn(
            "Memory, MB", format="%.0f", help="Peak of its process, or of the GPU."
        ),
    }  # fmt: skip


def _two(runs: Sequence[OtherRun], board: RunsBoard, ended: tuple[str, ...], metric: str) -> None:
    """The test between any two runs: at first the best two."""
    from timellm.evaluation.board_of_runs import said_of_two

    by_name = {one.name: one for one in runs}
    ranked = [row.model for row in board.rows if row.model in by_name]
    left, right = st.columns(2)
    one = left.selectbox("Is", ranked, key=keys.view("compare", "one"))
    others = [name for name in ranked if name != one]
    other = right.selectbox("better than", others, key=keys.view("compare", "other"))
    try:
        found = _tested((one, other), ended, metric, by_name[one], by_name[other])
    except TimeLLMError as error:
        show_error("The two runs cannot be compared window by window", str(error))
        return
    st.markdown(plain(said_of_two(found)))


def _overlay(comparison: Comparison, runs: Sequence[OtherRun]) -> None:
    """The test forecasts of all runs after one cut-off."""
    st.header("Forecasts on one chart", anchor=False)
    by_folder = {run.run_dir: Results(run) for run in comparison.runs}
    try:
        read = {one.name: by_folder[one.folder].forecasts() for one in runs}
        table = by_folder[runs[0].folder].table()
        channel = st.selectbox("Channel", list(table.channels), **keys.in_address("channel", tuple(table.channels)))
        windows = {name: forecasts.of(channel) for name, forecasts in read.items()}
    except TimeLLMError as error:
        show_error("The forecasts cannot be drawn", str(error))
        return
    cutoffs = next(iter(windows.values())).cutoffs()
    if not len(cutoffs):
        st.caption("This channel has no test window.")
        return
    chosen = st.select_slider(
        "Cut-off: the models see what is before it", list(cutoffs), value=cutoffs[len(cutoffs) // 2],
        format_func=moment, **keys.in_address("cutoff", cutoffs),
    )  # fmt: skip
    history = 2 * next(iter(read.values())).prepared.horizon
    drawn = {}
    for name, one in windows.items():
        before, actual, models = one.window(int(one.cutoffs().get_loc(chosen)), history=history)
        drawn[name] = models[read[name].own]
    charts.draw(
        backtest_chart,
        before,
        actual,
        drawn,
        looks_of_runs(list(drawn)),
        alt=f"Test forecasts of {channel} by all runs",
    )
