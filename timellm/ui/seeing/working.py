"""Work that runs a language model: on a button, one at a time on this server, with progress, and its results kept.

A loaded language model takes much memory, so only the last one is kept, and only for some minutes after its last use.
Results are small; the last few are kept, found again by what they were worked out from.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from timellm.ui.measuring import a_run_works
from timellm.ui.words import about

if TYPE_CHECKING:
    from timellm.forecasting.fitted import FittedRun
    from timellm.ui.run_results import Results

IDLE_S = 300.0
"""After so long without use a loaded model is let go."""
_MOST_RESULTS = 48
_WAIT_S = 0.3
_SHOW_EVERY_S = 0.3
_FIRST_GUESS = 0.03
"""Share of the work after which the time left is told."""

T = TypeVar("T")
Report = Callable[[float], None]
"""Called with the share of the work that is done."""


class Working:
    """The models and results of this server."""

    def __init__(self) -> None:
        self._busy, self._guard = threading.Lock(), threading.Lock()
        self._model: tuple[Hashable, Any] | None = None
        self._results: OrderedDict[Hashable, Any] = OrderedDict()
        self._timer: threading.Timer | None = None

    def result(self, key: Hashable) -> Any:
        """What was worked out under this key; None if nothing was, or not lately."""
        with self._guard:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def work(self, key: Hashable, do: Callable[[], T], *, waiting: Callable[[], None]) -> T:
        """Do it and keep the result; `waiting` is called while other work is under way.

        What `do` raises is raised here, and then nothing is kept.
        """
        while not self._busy.acquire(timeout=_WAIT_S):
            waiting()
        try:
            found = do()
        finally:
            self._busy.release()
        with self._guard:
            self._results[key] = found
            while len(self._results) > _MOST_RESULTS:
                self._results.popitem(last=False)
        return found

    def model(self, key: Hashable, load: Callable[[], T]) -> T:
        """A loaded model; to be called while work is done. Any other one is let go before it is loaded."""
        with self._guard:
            if self._timer is not None:
                self._timer.cancel()
            if self._model is not None and self._model[0] != key:
                self._model = None
            loaded: T | None = self._model[1] if self._model is not None else None
        if loaded is None:
            loaded = load()
        with self._guard:
            self._model = (key, loaded)
            self._timer = threading.Timer(IDLE_S, self._let_go)
            self._timer.daemon = True
            self._timer.start()
        return loaded

    def _let_go(self) -> None:
        with self._guard:
            self._model = None


@st.cache_resource(show_spinner=False)
def working() -> Working:
    """The one of this server."""
    return Working()


def fitted_run(results: Results) -> FittedRun:
    """A run with its language model; call it only within work.

    Raises:
        BackboneError: the backbone cannot be loaded on this machine.
        CheckpointError: the run folder is incomplete or damaged.
    """
    from timellm.forecasting.fitted import FittedRun

    run = results.run
    return working().model((str(run.run_dir), str(run.ended)), lambda: FittedRun.load(run.run_dir))


def on_button(label: str, key: str, do: Callable[[Report], object], *, result: Hashable, icon: str) -> Any:
    """A button that does the work, and what came of it; None before.

    Raises:
        TimeLLMError: the work failed.
    """
    known = working().result(result)
    pressed = st.button(label, key=key, icon=icon, disabled=known is not None, type="primary")
    if known is None and pressed:
        run_now(do, result=result)
        st.rerun()  # so that the button is drawn as one that has done its work
    if known is None and a_run_works():
        st.caption(":material/info: A run works on this machine; both will be slower for a while.")
    return known


def run_now(do: Callable[[Report], T], *, result: Hashable, text: str = "Forecasting …") -> T:
    """Do the work now, with a bar while it lasts; a click on the page ends it, and frees the server for other work."""
    place = st.empty()
    place.progress(0.0, text="Loading the language model …")
    shown = begun = 0.0

    def report(share: float) -> None:
        nonlocal shown, begun
        now = time.monotonic()
        begun = begun or now
        if now - shown < _SHOW_EVERY_S:
            return
        shown = now
        left = (
            f" about {about((now - begun) * (1 - share) / share)} left" if share > _FIRST_GUESS and now > begun else ""
        )
        place.progress(min(max(share, 0.0), 1.0), text=text + left)

    def waiting() -> None:
        place.progress(0.0, text="Other work runs on this server; this waits for it …")

    try:
        return working().work(result, lambda: do(report), waiting=waiting)
    finally:
        place.empty()
