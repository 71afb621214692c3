"""The runs of a protocol: which files are there, how far the queue is, and the table of what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from timellm.errors import TimeLLMError
from timellm.installation import PROJECT
from timellm.jobs.local.actions import ask_to_stop
from timellm.jobs.local.launcher import supervise
from timellm.jobs.local.protocol_runs import Placed, ProtocolRuns, progress_words
from timellm.jobs.local.protocol_time import Clues, time_needed
from timellm.protocols.protocol import Asked, Measured, Protocol
from timellm.protocols.results import Results
from timellm.sizing.machine import known_facts
from timellm.ui import keys, measuring
from timellm.ui.errors import explained, show_error, without_server_paths
from timellm.ui.loaders import store
from timellm.ui.words import plain

_TICK_S = 3.0
_FAILURE = keys.view("benchmarks", "failure")
_MEASURED_BEFORE = PROJECT / "benchmarks" / "results"
_TYPES = {"md": "text/markdown", "csv": "text/csv", "json": "application/json"}


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
            f"Put the original files into the folder **{place}** of this server, under these names, or name another"
            " folder above. Links to files that lie elsewhere work, too. What is there can be run at once."
        )
        st.markdown("\n".join(f"- {plain(str(one))}" for one in missing))


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def found(runs: ProtocolRuns) -> tuple[Placed, ...]:
    """Every cell with its newest run, as the store has them now."""
    with explained("The list of runs cannot be read"):
        return runs.find(store())


def measured(protocol: Protocol, runs: ProtocolRuns | None, now: Sequence[Placed]) -> Results | None:
    """Everything that was measured, here or before; None, with the reason, where it cannot be read.

    `runs` is None where the form asks for something that cannot be planned: what was measured is shown all the same.
    """
    try:
        own = [one for place in now if runs for one in _measured(_same(runs, place), runs, place)]
        return Results.read(protocol, _MEASURED_BEFORE).with_cells(own)
    except TimeLLMError as error:
        show_error("The results cannot be shown", str(error))
        return None


def _same(runs: ProtocolRuns, one: Placed) -> str:
    """What two measurements have in common that come to the same."""
    run = one.run and (one.run.id, one.run.run_dir, one.run.state, one.run.ended)
    return repr((runs.protocol.name, one.cell.key, runs.asked.further, run))


@st.cache_data(max_entries=5000, show_spinner="Reading the results ...")
def _measured(same: str, _runs: ProtocolRuns, _one: Placed) -> tuple[Measured, ...]:
    """What a run came to; kept, because some protocols forecast to find it."""
    return _runs.measured((_one,))


def progress(runs: ProtocolRuns, now: Sequence[Placed], known: Sequence[Measured]) -> None:
    """How far the runs are, and the button that queues those that are missing; ticks while one is active.

    `known` is what has been measured, from which the time of those that are left is taken.
    """
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("That did not work", failure)
    active = _active(now)

    @st.fragment(run_every=_TICK_S if active else None)
    def live() -> None:
        try:
            supervise(store())
            placed = runs.find(store())
        except TimeLLMError as error:
            show_error("The list of runs cannot be read", str(error))
            return
        if active and not _active(placed):
            st.rerun()  # the whole page has the finished table then
        _counted(placed)

    live()
    if not active:
        _time(runs, now, known)
    with st.container(horizontal=True):
        if active:
            st.button(
                "Stop these runs", icon=":material/stop:", on_click=_stop, args=(runs,),
                key=keys.view("benchmarks", "stop"), help="What has finished stays, and the rest can be run later.",
            )  # fmt: skip
        else:
            _start_button(runs, now)
        st.page_link(
            "runs.py", label="These runs in the list", icon=":material/list_alt:", query_params={"tag": runs.tag}
        )


def table(results: Results, notes: Sequence[str]) -> None:
    """The table of what was measured with the papers' numbers, and its files; `notes` are those of the plan."""
    protocol = results.protocol
    with explained("The results cannot be shown"):
        shown = results.table
    if not shown.rows:
        st.info("Nothing was measured yet. The table appears here when the first run has finished.")
        return
    st.header("Results", anchor=False)
    frame = pd.DataFrame(shown.rows, columns=list(shown.header))
    st.dataframe(
        frame,
        hide_index=True,
        column_config={"paper": st.column_config.Column(width="medium")},
        alt=f"Results of {protocol.title}",
        placeholder="",
    )
    with st.expander("How to read this", icon=":material/menu_book:"):
        said = dict.fromkeys((*shown.notes, *notes))
        st.markdown("\n".join(f"- {plain(note)}" for note in said))
    contents = results.contents(notes=notes)
    with st.container(horizontal=True):
        for ending, kind in _TYPES.items():
            st.download_button(
                f"Download {ending.upper()}", contents[ending], f"{protocol.name}.{ending}", kind,
                icon=":material/download:", on_click="ignore",
            )  # fmt: skip


def _active(placed: Sequence[Placed]) -> bool:
    return any(one.run is not None and one.run.active for one in placed)


def _counted(placed: Sequence[Placed]) -> None:
    finished = sum(one.run is not None and one.run.state == "finished" for one in placed)
    words = progress_words(placed) or f"{len(placed):,} runs, none started."
    st.progress(finished / len(placed), text=words)
    for one in placed:
        if one.run is not None and one.run.state in ("failed", "stopped"):
            why = f": {without_server_paths(one.run.error)}" if one.run.error else ""
            st.page_link(
                "runs.py", label=f"{plain(one.cell.title)} {one.run.state}{plain(why)}", icon=":material/error:",
                query_params={"run": one.run.id},
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
