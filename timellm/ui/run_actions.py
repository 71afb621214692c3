"""What can be done to a run from its page: stop, start again, delete; the last word is asked for in a dialog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.jobs.launcher import start_run
from timellm.jobs.run import Run
from timellm.jobs.shortage import offers_of
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.fit import offer_label
from timellm.ui.loaders import store
from timellm.ui.words import plain

T = TypeVar("T")

_FAILURE = keys.view("runs", "failure")


def chosen_run() -> Run:
    """The URL's run; an id that is gone is forgotten, so that the next visit shows the newest run.

    Raises:
        JobError: there is no such run.
    """
    run_id = keys.chosen("run")
    try:
        return store().get(run_id or "")
    except TimeLLMError:
        keys.choose("run", None)
        raise


def buttons(run: Run) -> None:
    """The actions that the run's state allows."""
    if run.active:
        asked = "Asked for already; the run ends after its current step." if run.stop_requested else None
        if st.button("Stop", icon=":material/stop_circle:", disabled=run.stop_requested, help=asked):
            _ask_to_stop(run)
        return
    st.button(
        "Run again", icon=":material/replay:", on_click=_again, args=(run,), help="A new run with these settings."
    )
    if st.button("Delete", icon=":material/delete:"):
        _ask_to_delete(run)


def smaller_settings(run: Run) -> None:
    """For a run that ran out of memory: start it again with settings with which it would fit."""
    for offer in offers_of(run):
        st.button(
            f"Start again with {offer_label(offer)}", help=plain(offer.price), icon=":material/replay:",
            on_click=_again, args=(run, offer.settings), key=keys.view("runs", f"offer/{run.id}/{offer.as_options}"),
        )  # fmt: skip


def show_failure() -> None:
    """What the last action failed with, once."""
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("That did not work", failure)


@st.dialog("Stop this run?", icon=":material/stop_circle:")
def _ask_to_stop(run: Run) -> None:
    if run.best_validation_loss is None:
        st.markdown("It has not been validated yet, so there may be nothing to keep.")
    else:
        st.markdown(
            "It ends after its current step. The best checkpoint so far is kept and evaluated, "
            "so forecast, metrics and attention will be there."
        )
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Go on", on_click=_close)
        st.button("Stop the run", type="primary", on_click=_stop, args=(run.id,))


@st.dialog("Delete this run?", icon=":material/delete:")
def _ask_to_delete(run: Run) -> None:
    st.markdown("Its checkpoint, forecasts, metrics and log are removed from this machine. This cannot be undone.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Keep it", on_click=_close)
        st.button("Delete the run", type="primary", on_click=_delete, args=(run.id,))


def _close() -> None:
    st.rerun()  # a dialog closes when the whole page is drawn again


def _stop(run_id: str) -> None:
    _attempt(lambda: store().request_stop(run_id))
    _close()


def _delete(run_id: str) -> None:
    if _attempt(lambda: _deleted(run_id)):
        keys.choose("run", None)
    _close()


def _deleted(run_id: str) -> bool:
    store().delete(run_id)
    return True


def _again(run: Run, settings: dict[str, Any] | None = None) -> None:
    started = _attempt(lambda: start_run(run.config.updated(**settings or {}), name=run.name))
    if started:
        keys.choose("run", started.id)


def _attempt(action: Callable[[], T]) -> T | None:
    try:
        return action()
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
        return None
