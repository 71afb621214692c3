"""What the set-up page measures in the background: this machine, once, and trials of settings, one at a time.

Both run in processes of their own, watched by threads of the server; pages only ask how far they are.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

import psutil
import streamlit as st

from timellm.config import RunConfig
from timellm.errors import TimeLLMError
from timellm.jobs.store.history import observations, remember_trial, trials_file
from timellm.jobs.store.run_store import Store
from timellm.sizing.estimate import Observation
from timellm.sizing.machine import MachineFacts, known_facts, measured_facts
from timellm.sizing.trial import Trial, trial
from timellm.ui.loaders import store
from timellm.ui.words import plain

_TICK_S = 1.0
AGAIN_AFTER_S = 30.0
"""After so long a measurement of the machine that failed, or that other programs disturbed, is made again."""


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


class Measurement:
    """The measurement of this machine: one at a time, and a while between two."""

    def __init__(self) -> None:
        self.error: str | None = None
        """Why the last one failed; None while there is none, and after one that succeeded."""
        self._thread: threading.Thread | None = None
        self._ended = -math.inf
        self._guard = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether it is under way."""
        return self._thread is not None and self._thread.is_alive()

    def due(self) -> bool:
        """Whether it may be made: none is under way, and the last one did not end just now."""
        return not self.busy and time.monotonic() - self._ended >= AGAIN_AFTER_S

    def start(self) -> None:
        """Measure in the background if it is due."""
        with self._guard:
            if self.due():
                self._thread = threading.Thread(target=self._work, name="measure-machine", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        try:
            measured_facts()
            self.error = None
        except Exception as error:
            self.error = str(error) if isinstance(error, TimeLLMError) else f"{type(error).__name__}: {error}"
            if not isinstance(error, TimeLLMError):
                raise  # for the server's log
        finally:
            self._ended = time.monotonic()


def machine_facts() -> MachineFacts | None:
    """What this machine does; while it is being measured a line says so, and the page is drawn again afterwards.

    Facts that other programs disturbed serve until better ones are measured, without a line.
    """
    known, measuring = known_facts(), _measurement()
    if known is None or known.too_slow:
        measuring.start()
    if known is not None:
        return known
    busy = measuring.busy

    @st.fragment(run_every=_TICK_S)
    def wait() -> None:
        if measuring.busy != busy or (not busy and measuring.due()):
            st.rerun()
        if busy:
            st.caption("Measuring this machine once, for an estimate of memory and time …")
        elif measuring.error is not None:
            st.caption(
                f"Memory and time are not known: {plain(measuring.error)}. It is tried again in {AGAIN_AFTER_S:.0f} s."
            )

    wait()
    return None


@st.cache_resource(show_spinner=False)
def _measurement() -> Measurement:
    """The one of this server."""
    return Measurement()


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
