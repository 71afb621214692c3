"""Other models beside a run: runs that were scored on the same windows, and starting one that will be.

Inputs: the run on the page. Outputs: its scores with a row for each other run's model, and what was compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.evaluation.metrics import COMPARED
from timellm.forecasters.registry import OFFERED, REGISTRY, Kind
from timellm.jobs.local.launcher import start_run
from timellm.jobs.local.twins import TAG as TWINS_TAG
from timellm.jobs.store.run import Run
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.run_results import Results
from timellm.ui.scoreboard import names_in_order
from timellm.ui.words import plain

if TYPE_CHECKING:
    import pandas as pd

    from timellm.evaluation.others import OtherRun
    from timellm.evaluation.scores import Scores
    from timellm.evaluation.significance import Comparison
    from timellm.evaluation.verdict import Verdict

_MOST = 12  # other runs on one leaderboard
_LOOKED_AT = 200  # newest runs among which they are sought


def others_of(results: Results) -> tuple[OtherRun, ...]:
    """Finished runs that were scored on the same windows, newest first."""
    from timellm.evaluation.others import OtherRun

    found: list[OtherRun] = []
    own = results.scores()
    taken = set(own.models)
    for run in store().runs(_LOOKED_AT):
        if len(found) == _MOST:
            break
        if run.id == results.run.id or run.active or not _same_windows(run, own):
            continue
        if any(tag.startswith(TWINS_TAG) for tag in run.tags):  # the page has a part of its own for them
            continue
        try:
            scores = Results(run).scores()
        except TimeLLMError:  # its own page says what is wrong with it
            continue
        if scores.own in own.models and _same_errors(scores, own):  # one fit made twice, or a copy of this run
            continue
        name = scores.own if scores.own not in taken else f"{scores.own}: {run.name}"
        name = name if name not in taken else f"{name} ({run.id[-5:]})"
        taken.add(name)
        found.append(OtherRun(name, run.run_dir, scores))
    return tuple(found)


def drawn_first(scores: Scores, others: tuple[OtherRun, ...], metric: str) -> tuple[str, ...]:
    """Models in the order in which charts take them: those of other runs, which the user has made, then the best.

    `scores` are those of all models, the other runs' among them.
    """
    return (*(other.name for other in others), *names_in_order(scores, metric))


def _same_windows(run: Run, scores: Scores) -> bool:
    return bool(scores.scored.window_set) and run.summary.get("window_set") == scores.scored.window_set


def _same_errors(one: Scores, other: Scores) -> bool:
    mine, theirs = one.error(one.own, "mse"), other.error(one.own, "mse")
    return math.isclose(mine, theirs, rel_tol=1e-9)


def forecasts_of_others(
    others: tuple[OtherRun, ...], channel: str, *, cutoff: pd.Timestamp | None
) -> dict[str, pd.Series]:
    """The forecasts that other runs made of a channel after a cut-off, or beyond the data, by model.

    A run whose forecasts cannot be read is left out: its own page says why.
    """
    found = {}
    for other in others:
        theirs = Results(store().get(other.folder.name))
        try:
            if cutoff is None:
                future = theirs.future()
                found[other.name] = future[future["unique_id"] == channel].set_index("ds")["yhat"]
                continue
            windows = theirs.forecasts().of(channel)
            cutoffs = windows.cutoffs()
            if cutoff in cutoffs:
                _, _, models = windows.window(int(cutoffs.get_loc(cutoff)), history=0)
                found[other.name] = models[other.scores.own]
        except TimeLLMError:
            continue
    return found


@st.cache_data(max_entries=64, show_spinner="Comparing …")
def _compared(
    run_dir: str, ended: str, _others: tuple[OtherRun, ...], names: tuple[str, ...], own: str, metric: str
) -> tuple[Comparison, ...]:
    from pathlib import Path

    from timellm.evaluation.others import compare_with_others

    return compare_with_others(Path(run_dir), own, _others, metrics=(metric,))


def compared(results: Results, others: tuple[OtherRun, ...], metric: str) -> tuple[Comparison, ...]:
    """The run's own model beside every other one by a metric, also those of other runs."""
    kept = tuple(one for one in results.comparisons() if one.metric == metric)
    if not others or not kept or metric not in COMPARED:
        return kept
    names = tuple(f"{other.name} {other.folder.name}" for other in others)
    own = results.scores().own
    return (*kept, *_compared(str(results.run.run_dir), str(results.run.ended), others, names, own, metric))


@st.cache_data(max_entries=64, show_spinner="Counting the windows won …")
def _won(
    run_dir: str, ended: str, _others: tuple[OtherRun, ...], names: tuple[str, ...], metric: str, naive: str
) -> dict[str, float]:
    from pathlib import Path

    from timellm.evaluation.others import windows_won

    return windows_won(Path(run_dir), _others, metric, baseline=naive)


def won(results: Results, others: tuple[OtherRun, ...], metric: str, naive: str | None) -> dict[str, float]:
    """Share of the windows in which each model is closer than `naive`, the best simple forecast, by model."""
    if naive is None or metric not in COMPARED:
        return {}
    names = tuple(f"{other.name} {other.folder.name}" for other in others)
    return _won(str(results.run.run_dir), str(results.run.ended), others, names, metric, naive)


def offer(results: Results, others: tuple[OtherRun, ...], verdict: Verdict) -> None:
    """What the verdict advises, and buttons that start another forecaster on the same table and task."""
    run = results.run
    running = {one.config.kind: one for one in store().runs(_LOOKED_AT) if one.active and _same_task(one, run)}
    with st.container(horizontal=True, vertical_alignment="center"):
        if verdict.action == "use" and verdict.rival is not None:
            _advised(run, others, verdict.rival)
        with st.popover("Compare with …", icon=":material/add_chart:"):
            st.caption("Each becomes a run of its own, on the same table, split, context and horizon.")
            for kind in OFFERED.values():
                if kind.name == run.config.kind:
                    continue
                busy = kind.name in running
                st.button(
                    f"{kind.title} (at work)" if busy else kind.title, width="stretch", disabled=busy,
                    key=keys.view("metrics", f"beside/{kind.name}"), help=kind.purpose,
                    on_click=_start, args=(run, kind),
                )  # fmt: skip
        for one in running.values():
            st.page_link("runs.py", label=f"{plain(one.name)} is {one.state}", query_params={"run": one.id})
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The run was not started", failure)


_FAILURE = keys.view("metrics", "failure")


def _start(run: Run, kind: Kind) -> None:
    try:
        config = run.config.updated(kind=kind.name)
        start_run(config, name=f"{kind.title}: {run.name}", store=store())
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


def _same_task(one: Run, other: Run) -> bool:
    try:
        mine, theirs = one.config, other.config
    except TimeLLMError:
        return False
    return (mine.data.path, mine.data.repair, mine.task) == (theirs.data.path, theirs.data.repair, theirs.task)


def _advised(run: Run, others: tuple[OtherRun, ...], model: str) -> None:
    """The way to the model that the verdict advises: to its run, or a button that makes it one."""
    there = next((other for other in others if other.name == model), None)
    if there is not None:
        page = {"run": there.folder.name}
        st.page_link("forecast.py", label=f"Use {plain(model)}", icon=":material/bolt:", query_params=page)
        return
    # A row of this run that is no kind's title is one of the simple rules.
    kind = next((kind for kind in REGISTRY.values() if kind.title == model), REGISTRY["naive"])
    if kind.name != run.config.kind:
        st.button(
            f"Use {model}", type="primary", icon=":material/bolt:", on_click=_start, args=(run, kind),
            help="Makes it a run of its own on this table, with forecasts to download. It takes seconds.",
        )  # fmt: skip
