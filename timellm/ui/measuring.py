"""What the set-up page measures in the background: this machine, once, and trials of settings, one at a time.

Both run in processes of their own, watched by threads of the server; pages only ask how far they are.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import psutil
import streamlit as st

from timellm.config import RunConfig
from timellm.jobs.history import observations, remember_trial, trials_file
from timellm.jobs.store import Store
from timellm.training.estimate import Observation
from timellm.training.machine import MachineFacts, known_facts, measured_facts
from timellm.training.trial import Trial, trial
from timellm.ui.loaders import store
from timellm.ui.words import plain

_TICK_S = 1.0


@dataclass
class Trying:
    """The trial of this server: what is or was tried last, and what came of it."""

    config: RunConfig | None = None
    result: Trial | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a trial is under way."""
        return self.thread is not None and self.thread.is_alive()

    def start(self, config: RunConfig, keeper: Store) -> None:
        """Try `config` unless something is being tried; what is measured is kept beside `keeper`."""
        if self.busy:
            return
        self.config, self.result, self.stop = config, None, threading.Event()
        self.thread = threading.Thread(target=self._work, args=(config, keeper), name="trial", daemon=True)
        self.thread.start()

    def _work(self, config: RunConfig, keeper: Store) -> None:
        self.result = trial(config, should_stop=self.stop.is_set)
        remember_trial(keeper, config, self.result)


@st.cache_resource(show_spinner=False)
def trying() -> Trying:
    """The one trial of this server."""
    return Trying()


def start_trial(config: RunConfig) -> None:
    """Try `config` in the background."""
    trying().start(config, store())


def watch(current: Trying) -> None:
    """A line and a way to cancel while a trial is under way; the page is drawn again when it has ended."""

    @st.fragment(run_every=_TICK_S)
    def wait() -> None:
        if not current.busy:
            st.rerun()
        st.caption("Cancelling …" if current.stop.is_set() else "Trying one step in the background …")
        st.button("Cancel the trial", on_click=current.stop.set, width="stretch", disabled=current.stop.is_set())

    wait()


def machine_facts() -> MachineFacts | None:
    """What this machine does; while it is being measured a line says so, and the page is drawn again afterwards."""
    known = known_facts()
    if known is not None:
        return known
    measuring = _measuring()

    @st.fragment(run_every=_TICK_S)
    def wait() -> None:
        if measuring.done():
            st.rerun()
        st.caption("Measuring this machine once, for an estimate of memory and time …")

    if not measuring.done():
        wait()
    elif (error := measuring.exception()) is not None:
        st.caption(f"Memory and time are not known: {plain(str(error))}")
    return known_facts()


@st.cache_resource(show_spinner=False)
def _measuring() -> Future[MachineFacts]:
    return ThreadPoolExecutor(1, thread_name_prefix="measure-machine").submit(measured_facts)


def past() -> tuple[Observation, ...]:
    """What runs and trials took here, newest first; read again when a trial is added, and now and then."""
    file = trials_file(store())
    return _past(str(file), file.stat().st_size if file.is_file() else 0)


@st.cache_data(ttl=20, max_entries=4, show_spinner=False)
def _past(file: str, size: int) -> tuple[Observation, ...]:
    return observations(store())


def held_by_a_run() -> float:
    """MiB that runs at work on this machine hold now; the next one starts only when they have ended."""
    held = 0
    for worker in store().working_here():
        try:
            held += psutil.Process(worker.pid).memory_info().rss
        except psutil.NoSuchProcess:  # it has just ended
            continue
    return held / 2**20


def a_run_works() -> bool:
    """Whether a run works on this machine at this moment."""
    return bool(store().working_here())
