"""Studies of faithfulness, worked out when a user asks for one and kept for every session.

One is worked out at a time in this server, because each loads a language model. It runs in the script of the page that
asked: any click there, or leaving the page, ends it, and other sessions go on meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from timellm.ui.loaders import Results
from timellm.ui.words import about

if TYPE_CHECKING:
    from timellm.explain.study import Faithfulness, OneWindow

_ONE_AT_A_TIME = threading.Lock()
_SHOW_EVERY_S = 0.3
_FIRST_GUESS = 0.03
"""Share of the work after which the time left is told."""


@st.cache_resource(max_entries=12, show_spinner=False)
def _kept(run_dir: str, ended: str, windows: int) -> dict[str, Faithfulness]:
    """Where a study of a run is put once it is finished; a study holds some hundred kilobytes and no network."""
    return {}


def kept_study(results: Results, windows: int) -> Faithfulness | None:
    """The study of a run's test windows, if one has been worked out since the server started."""
    return _kept(str(results.run.run_dir), str(results.run.ended), windows).get("study")


def work_out(results: Results, windows: int, *, one: OneWindow) -> bool:
    """Work the study out, with a bar that says how far it is; only the window `one`, if the study is there already.

    Returns False if another study is under way.

    Raises:
        TimeLLMError: the run's folder or its backbone cannot be used.
    """
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        return False
    try:
        moves = _shown_progress()  # first, because libraries take seconds to load
        from timellm.explain import faithfulness

        folder, kept = results.run.run_dir, _kept(str(results.run.run_dir), str(results.run.ended), windows)
        if (found := kept.get("study")) is None or found.study is None:
            kept["study"] = faithfulness.faithfulness(folder, windows=windows, one=one, on_part=moves)
        else:
            alone = faithfulness.one_window(folder, one, deviation=found.study.deviation, on_part=moves)
            kept["study"] = replace(found, one=alone)
    finally:  # a click ends the script with an exception from the bar
        _ONE_AT_A_TIME.release()
    return True


def _shown_progress() -> Callable[[float], None]:
    """A bar on the page; what moves it gets the share that is done."""
    bar = st.progress(0.0, text="Loading the language model …")
    shown = begun = 0.0

    def move(share: float) -> None:
        nonlocal shown, begun
        now = time.monotonic()
        begun = begun or now
        if now - shown < _SHOW_EVERY_S:
            return
        shown = now
        left = (now - begun) * (1 - share) / share
        text = "Masking, and forecasting anew"
        bar.progress(min(share, 1.0), text=f"{text}, about {about(left)} left" if share > _FIRST_GUESS else text)

    return move
