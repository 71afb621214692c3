"""What can be done to a run from its page: stop, go on, start again, delete; the last word is asked for in a dialog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.jobs.cluster.runs import forget, sync_folder
from timellm.jobs.local.actions import NOTE_LETTERS, ask_to_stop, label, rename, stop_now
from timellm.jobs.local.launcher import start_again, start_run
from timellm.jobs.store import queue
from timellm.jobs.store.listing import Listed
from timellm.jobs.store.run import Run
from timellm.jobs.store.shortage import offers_of
from timellm.ui import carrying, keys, refill, usable
from timellm.ui.errors import show_error
from timellm.ui.fit import offer_label
from timellm.ui.loaders import store
from timellm.ui.words import plain

T = TypeVar("T")

_FAILURE = keys.view("runs", "failure")


def chosen_run() -> Run:
    """The URL's run; an id that is gone is forgotten, so that the next visit shows the newest run.

    Raises:
        JobError: there is no such run, or its files are kept at a URL that cannot be used.
        CheckpointError: what is kept of it is damaged.
    """
    run_id = keys.chosen("run")
    try:
        run = store().get(run_id or "")
    except TimeLLMError:
        keys.choose("run", None)
        raise
    sync_folder(run)
    return run


def say_if_gone(listed: tuple[Listed, ...]) -> None:
    """Say so when the URL's run is not among the runs `listed`, and take its id out of the URL."""
    run_id = keys.chosen("run")
    if run_id and run_id not in {run.id for run in listed}:
        keys.choose("run", None)
        st.info(
            f"There is no run {plain(run_id[:40])} here. It was deleted (perhaps in another tab), or the URL is wrong."
            + (" The newest run is shown instead; choose another one in the list." if listed else ""),
            icon=":material/delete:",
        )


def buttons(run: Run) -> None:
    """The actions that the run's state allows."""
    if run.state == "queued":
        _queue_buttons(run)
    elif run.active:
        asked = "Asked for already; the run ends after its current step." if run.stop_requested else None
        if st.button("Stop", icon=":material/stop_circle:", disabled=run.stop_requested, help=asked):
            _ask_to_stop(run)
    else:
        _ended_buttons(run)


def _queue_buttons(run: Run) -> None:
    waiting = [one.id for one in store().waiting()]
    first, last = run.id in waiting[:1], run.id in waiting[-1:]
    moves = (
        ("First", "vertical_align_top", None, first), ("Up", "arrow_upward", -1, first),
        ("Down", "arrow_downward", 1, last),
    )  # fmt: skip
    for name, icon, places, off in () if run.on_cluster else moves:  # a cluster has its own order
        st.button(name, icon=f":material/{icon}:", disabled=off, on_click=_move, args=(run.id, places))
    if st.button("Edit", icon=":material/edit:"):
        _to_the_form(run, waits=True)
    st.button("Withdraw", icon=":material/cancel:", on_click=_withdraw, args=(run.id,))


def _ended_buttons(run: Run) -> None:
    if run.can_go_on:
        st.button(
            "Resume",
            icon=":material/resume:",
            on_click=_go_on,
            args=(run.id,),
            help="Continues from the last saved step.",
        )
    st.button(
        "Run again", icon=":material/replay:", on_click=_again, args=(run,), help="A new run with these settings."
    )
    if st.button("Delete", icon=":material/delete:"):
        _ask_to_delete(run)


def more(run: Run) -> None:
    """The actions that are wanted less often, and the form for name, tags and note."""
    with st.popover("More", icon=":material/more_horiz:"):
        if st.button("Change settings and run", icon=":material/edit_note:", width="stretch"):
            _to_the_form(run)
        if run.state in ("stopped", "failed"):
            st.button(
                "Start over in place", icon=":material/restart_alt:", width="stretch", on_click=_go_on,
                args=(run.id,), kwargs={"from_the_beginning": True},
                help="Trains the same run again from step 0; what it has saved is deleted.",
            )  # fmt: skip
        carrying.export(run)
        with st.form(f"labels/{run.id}", border=False):
            name = st.text_input("Name", run.name, max_chars=200)
            tags = st.text_input("Tags", ", ".join(run.tags), placeholder="separated by commas")
            note = st.text_area("Note", run.note, max_chars=NOTE_LETTERS, height=100)
            if st.form_submit_button("Save", width="stretch") and _attempt(lambda: _labelled(run.id, name, tags, note)):
                st.rerun()


def mended_settings(run: Run) -> None:
    """For a run that failed for want of windows or memory: start it again with settings with which it would work."""
    for number, remedy in enumerate(usable.remedies_of(run)):
        st.button(
            usable.again_label(remedy), type="secondary" if number else "primary", icon=":material/healing:",
            help=usable.gain(remedy), on_click=_again, args=(run, remedy.settings),
            key=keys.view("runs", f"remedy/{run.id}/{number}"),
        )  # fmt: skip
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
    """Three ways out, each with what it does to the results."""
    best, now, on = _what_stopping_does(run)
    st.button("Stop and keep the best so far", type="primary", width="stretch", on_click=_stop, args=(run.id,))
    st.caption(best)
    st.button("Stop at once, without results", width="stretch", on_click=_stop_now, args=(run.id,))
    st.caption(now)
    st.button("Keep training", width="stretch", on_click=_close)
    st.caption(on)


def _what_stopping_does(run: Run) -> tuple[str, str, str]:
    """One line for each way out: keep the best, stop at once, keep training."""
    if run.phase == "evaluating" or (run.phase == "training" and run.done):
        best = (
            "Training ends after its current step. The best checkpoint so far is kept and evaluated on the test part;"
            " then forecast, metrics and attention are there. *Resume* trains the rest later."
        )
    elif run.phase == "pretraining":
        best = (
            "Pre-training ends after its current step. Nothing was trained on the run's own table, so there will be no"
            " results. *Resume* goes on later."
        )
    else:
        best = "The run ends as soon as it can. No training step is finished yet, so there will be no results."
    now = "The process is ended now: no evaluation, no forecast, no metrics, no attention. " + (
        "*Resume* continues from the last saved step; steps after it are lost."
        if run.has_saved_steps
        else "Nothing is saved yet, so the run can only start over."
    )
    return best, now, "Nothing changes; the run continues."


@st.dialog("Delete this run?", icon=":material/delete:")
def _ask_to_delete(run: Run) -> None:
    st.markdown(
        f"The checkpoint, forecasts, metrics and log of **{plain(run.name)}** are removed. This cannot be undone;"
        " *Export* under *More* keeps a copy."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Keep it", on_click=_close)
        st.button("Delete the run", type="primary", on_click=_delete, args=(run.id,))


def _close() -> None:
    st.rerun()  # a dialog closes when the whole page is drawn again


def _stop(run_id: str) -> None:
    _attempt(lambda: ask_to_stop(store(), run_id))
    _close()


def _move(run_id: str, places: int | None) -> None:
    _attempt(lambda: queue.move(store().database, run_id, places=places))


def _withdraw(run_id: str) -> None:
    _attempt(lambda: ask_to_stop(store(), run_id))


def _stop_now(run_id: str) -> None:
    _attempt(lambda: stop_now(store(), run_id))
    _close()


def _go_on(run_id: str, *, from_the_beginning: bool = False) -> None:
    _attempt(lambda: start_again(run_id, store=store(), from_the_beginning=from_the_beginning))


def _labelled(run_id: str, name: str, tags: str, note: str) -> bool:
    rename(store(), run_id, name)
    label(store(), run_id, tags=tags.split(","), note=note)
    return True


def _to_the_form(run: Run, *, waits: bool = False) -> None:
    if table_id := _attempt(lambda: refill.fill_form(run, waits=waits)):
        st.switch_page("finetune.py", query_params={"table": table_id})
    st.rerun()  # to show why not


def _delete(run_id: str) -> None:
    if _attempt(lambda: _deleted(run_id)):
        keys.choose("run", None)
    _close()


def _deleted(run_id: str) -> bool:
    forget(store().get(run_id))
    store().delete(run_id)
    return True


def _again(run: Run, settings: dict[str, Any] | None = None) -> None:
    config = run.config.updated(**settings or {})
    started = _attempt(lambda: start_run(config, name=run.name, on_cluster=run.on_cluster, workers=run.workers))
    if started:
        keys.choose("run", started.id)


def _attempt(action: Callable[[], T]) -> T | None:
    try:
        return action()
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
        return None
