"""Choosing a run, and the guard of every page that shows a run's results."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from timellm.errors import ConfigError, RunNotFoundError
from timellm.forecasters.registry import kind_of
from timellm.jobs.cluster.runs import sync_folder
from timellm.jobs.local.launcher import supervise
from timellm.jobs.store.run import Run
from timellm.ui import keys
from timellm.ui.errors import explained, nothing_here, show_error
from timellm.ui.loaders import store
from timellm.ui.run_results import Results
from timellm.ui.words import ago, phase_line, plain, state_badge

_MOST_OFFERED = 200


def has_results(run: Run) -> bool:
    """Whether a run ended with something to look at."""
    return run.state == "finished" or (run.state == "stopped" and bool(run.summary))


def has_attention(run: Run) -> bool:
    """Whether a run's forecaster has attention over text prototypes; not if another version wrote its settings."""
    try:
        config = run.config
    except ConfigError:
        return False
    return kind_of(config.kind).attention and config.model.reprogramming != "linear"


def what_is_inside(run: Run) -> str | None:
    """What the Attention page has to show of a run: "Attention", the "Weights" of a linear map, or nothing."""
    if has_attention(run):
        return "Attention"
    try:
        return "Weights" if run.config.has_linear_map else None
    except ConfigError:
        return None


def pick_run(page: str, column: DeltaGenerator) -> Run:
    """A select box of runs, newest first, whose choice is the URL's run; without any run the page ends here."""
    with explained("The list of runs cannot be read"):
        supervise(store())
        runs = {run.id: run for run in store().runs(_MOST_OFFERED)}
        wanted = keys.chosen("run")
        if wanted and wanted not in runs and (older := _find(wanted)) is not None:
            runs[wanted] = older
    if wanted and wanted not in runs:
        keys.choose("run", None)  # so that the next visit is not stopped by an id that is gone
        nothing_here(
            f"There is no run {plain(wanted[:40])}. It was deleted (perhaps in another tab), or the address is wrong.",
            page="runs.py",
            label="All runs",
        )
    if not runs:
        nothing_here(
            "There is no run yet. Choose a table, start a fine-tuning run, and its results appear here.",
            page="data.py",
            label="Choose a table",
        )
    # Without a choice, the newest run that has something to show.
    default = next((run.id for run in runs.values() if has_results(run)), next(iter(runs)))
    key = keys.view(page, "run")
    st.session_state[key] = wanted or default
    column.selectbox(
        "Run",
        list(runs),
        key=key,
        format_func=lambda run_id: _title(runs[run_id]),
        on_change=lambda: keys.choose("run", st.session_state[key]),
    )
    keys.choose("run", wanted or default)
    return runs[wanted or default]


def _find(run_id: str) -> Run | None:
    try:
        return store().get(run_id)
    except RunNotFoundError:
        return None


def _title(run: Run) -> str:
    return f"{run.name} · {run.state} · {ago(run.ended or run.started or run.created)}"


def pick_results(page: str, column: DeltaGenerator, *, what: str) -> Results:
    """The chosen run's results; for a run without any, a sentence says why and what to do, and the page ends here.

    The run is chosen in `column`; sentences take the width of the page. `what` names what the page shows, without an
    article.
    """
    run = pick_run(page, column)
    if not has_results(run):
        _say_why_not(run, what)
        st.stop()
    with explained("The results of this run cannot be read"):
        sync_folder(run)
    return Results(run)


def _say_why_not(run: Run, what: str) -> None:
    label = "See its log"
    if run.active:
        st.markdown(f"{state_badge(run)} {phase_line(run)}. This page shows the {what} when the run has ended.")
        label = "Watch the run"
    elif run.state == "failed":
        show_error(f"This run failed, so it has no {what}", run.error or "The cause was not recorded.")
    else:
        st.info(f"This run was stopped before its first checkpoint, so it has no {what}. Choose another run.")
    st.page_link("runs.py", label=label, icon=":material/arrow_forward:", query_params={"run": run.id})


def pick_channel(results: Results, channels: tuple[str, ...]) -> str:
    """A select box of the run's channels; the choice holds on every page and for every run that has it."""
    return st.selectbox("Channel", channels, **keys.in_address("channel", channels))
