"""The runs of a protocol: which files are there, how far the queue is, how long the rest takes, start and stop."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.jobs.local.actions import ask_to_stop
from timellm.jobs.local.launcher import supervise
from timellm.jobs.local.protocol_runs import Placed, ProtocolRuns, progress_words
from timellm.jobs.local.protocol_time import Clues, time_needed
from timellm.protocols.protocol import Asked, Measured, Protocol
from timellm.sizing.machine import known_facts
from timellm.ui import keys, measuring
from timellm.ui.errors import explained, show_error, without_server_paths
from timellm.ui.loaders import store
from timellm.ui.words import phase_line, plain

_TICK_S = 3.0
_MOST_FAILED = 5
"""Runs that are named with their reason; the others are in the list."""
_FAILURE = keys.view("benchmarks", "failure")


def planned(protocol: Protocol, asked: Asked) -> ProtocolRuns | None:
    """The runs that the form asks for; None, with the reason, where they cannot be planned."""
    try:
        with st.spinner("Reading the files ..."):
            return ProtocolRuns.of(protocol, asked)
    except TimeLLMError as error:
        show_error("This cannot be planned", str(error))
        return None


def files(runs: ProtocolRuns) -> None:
    """Which of the wanted files are there, and which are missing and where those are from."""
    missing, there = runs.plan.missing, runs.plan.there
    place = plain(without_server_paths(str(runs.asked.data)))
    if there:
        st.caption(f"{_files(len(there))} of {len(there) + len(missing):,} in **{place}**: {plain(', '.join(there))}.")
    if not missing:
        return
    some = "Missing" if there else "None of the files is there"
    with st.expander(f"{some}: {_files(len(missing))}", expanded=not there, icon=":material/folder_open:"):
        st.markdown(
            f"Put the original files into the folder **{place}** of this server, under exactly these names, or name"
            " another folder above. Links to files that lie elsewhere work, too. Sets whose files are there can be run"
            " without the others."
        )
        st.markdown("\n".join(f"- `{one.name}` ({plain(one.what)}). {plain(one.source)}" for one in missing))


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def found(runs: ProtocolRuns) -> tuple[Placed, ...]:
    """Every cell with its newest run, as the store has them now."""
    with explained("The list of runs cannot be read"):
        return runs.find(store())


def progress(runs: ProtocolRuns, now: Sequence[Placed], known: Sequence[Measured]) -> None:
    """How far the runs are, and the button that queues those that are missing; ticks while one is active.

    `known` is what has been measured, from which the time of those that are left is taken.
    """
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("That did not work", failure)
    active, finished = _active(now), _finished(now)

    @st.fragment(run_every=_TICK_S if active else None)
    def live() -> None:
        try:
            supervise(store())
            placed = runs.find(store())
        except TimeLLMError as error:
            show_error("The list of runs cannot be read", str(error))
            return
        if active and (_finished(placed) != finished or not _active(placed)):
            st.rerun()  # the whole page has the table with what has finished
        _counted(runs, placed)

    live()
    _time(runs, now, known)
    with st.container(horizontal=True, vertical_alignment="center"):
        _start_button(runs, now)
        if active:
            st.button(
                "Stop these runs", icon=":material/stop:", on_click=_stop, args=(runs,),
                key=keys.view("benchmarks", "stop"), help="What has finished stays, and the rest can be run later.",
            )  # fmt: skip
        st.page_link(
            "runs.py", label="These runs in the list", icon=":material/list_alt:", query_params={"tag": runs.tag}
        )


def _active(placed: Sequence[Placed]) -> bool:
    return any(one.run is not None and one.run.active for one in placed)


def _finished(placed: Sequence[Placed]) -> int:
    return sum(one.run is not None and one.run.state == "finished" for one in placed)


def _counted(runs: ProtocolRuns, placed: Sequence[Placed]) -> None:
    """A bar, what is at work now, and what has failed, each with a link to its run."""
    words = progress_words(placed) or f"{len(placed):,} runs, none started."
    st.progress(_finished(placed) / len(placed), text=words)
    for one in placed:
        if one.run is not None and one.run.state == "running":
            label = f"{plain(one.cell.title)}: {phase_line(one.run)}"
            st.page_link("runs.py", label=label, icon=":material/sync:", query_params={"run": one.run.id})
    failed = [(one.cell, one.run) for one in placed if one.run is not None and one.run.state == "failed"]
    for cell, run in failed[:_MOST_FAILED]:
        label = f"{plain(cell.title)} failed"
        st.page_link("runs.py", label=label, icon=":material/error:", query_params={"run": run.id})
        st.caption(plain(without_server_paths(run.error or "The cause was not recorded.")))
    if len(failed) > _MOST_FAILED:
        st.page_link(
            "runs.py", label=f"{len(failed) - _MOST_FAILED:,} more that failed", icon=":material/error:",
            query_params={"tag": runs.tag, "state": "failed"},
        )  # fmt: skip


def _time(runs: ProtocolRuns, placed: Sequence[Placed], known: Sequence[Measured]) -> None:
    """How many runs the button queues, and how long they take."""
    left = runs.left(placed, again=True)
    if not left:
        return
    needed = time_needed(runs, left, Clues(known, known_facts(), measuring.past()))
    st.caption(plain(needed.sentence()))
    if needed.lacks_facts:
        measuring.machine_facts()  # measures it in the background, and the page is drawn again with the rest


def _start_button(runs: ProtocolRuns, placed: Sequence[Placed]) -> None:
    left = runs.left(placed, again=True)
    if not left:
        return
    begun = any(one.run is not None for one in placed)
    what = f"{len(left):,} run{'' if len(left) == 1 else 's'}"
    st.button(
        f"Run what is missing ({what})" if begun else f"Run it ({what})", type="primary", icon=":material/play_arrow:",
        on_click=_start, args=(runs,), key=keys.view("benchmarks", "start"),
        help="The runs wait in the queue one behind the other. You can close this page, and go on later.",
    )  # fmt: skip


def _stop(runs: ProtocolRuns) -> None:
    try:
        for one in runs.find(store()):
            if one.run is not None and one.run.active:
                ask_to_stop(store(), one.run.id)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


def _start(runs: ProtocolRuns) -> None:
    try:
        runs.start(store(), again=True)
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
