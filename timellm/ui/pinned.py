"""Scrubbing through a run's pinned windows: how their forecasts came about, validation by validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from timellm.errors import CheckpointError, ConfigError, RunNotFoundError
from timellm.jobs.store.run import Run
from timellm.ui import keys
from timellm.ui.errors import show_error
from timellm.ui.loaders import store
from timellm.ui.run_results import pinned_forecasts
from timellm.ui.words import moment, number, plain

if TYPE_CHECKING:
    from timellm.forecasting.validation import PinnedForecasts, PinnedWindow

_TICK_S = 3.0  # every redraw takes from the two cores that train
_NARROWEST = 420  # pixels of one window


def can_be_pinned(run: Run) -> bool:
    """Whether a run trains step by step, so that there are validations to keep forecasts of."""
    try:
        return run.config.training is not None
    except ConfigError:  # of another version: what it has kept can be shown all the same
        return True


def scrub(run: Run) -> None:
    """The pinned windows at one validation, chosen by a slider; ticks while the run works."""

    @st.fragment(run_every=_TICK_S if run.active else None)
    def windows() -> None:
        try:
            seen = pinned_forecasts(run)
        except CheckpointError as error:  # the rest of the page does not depend on it
            show_error("The pinned windows of this run cannot be shown", str(error))
            return
        if seen is None:
            try:
                now = store().get(run.id)
            except RunNotFoundError:  # deleted in another tab: the whole page says so
                st.rerun()
            st.caption(_why_none(now))
            return
        at = _slider(run, seen)
        with st.grid("auto", min_column_width=_NARROWEST):
            for place, window in enumerate(seen.windows):
                with st.container():
                    _draw(window, seen, at, key=f"pinned/{run.id}/{place}")

    windows()


def _slider(run: Run, seen: PinnedForecasts) -> int:
    """The chosen validation; a new one is followed if the newest was in view."""
    last = len(seen.step) - 1
    key, known = keys.view("runs", f"pinned/{run.id}"), keys.view("runs", f"pinned-known/{run.id}")
    if st.session_state.get(key) in (None, st.session_state.get(known)):
        st.session_state[key] = last
    st.session_state[known] = last
    if last == 0:
        st.caption(f"{_title(seen, 0)}. Later validations appear here.")
        return 0
    return st.select_slider(
        "Validation (arrow keys move it)", range(last + 1), format_func=lambda at: _title(seen, at), key=key
    )


def _title(seen: PinnedForecasts, at: int) -> str:
    return f"step {seen.step[at]:,}, epoch {number(float(seen.epoch[at]), 2)}"


def _draw(window: PinnedWindow, seen: PinnedForecasts, at: int, *, key: str) -> None:
    from timellm.plots.pinned import pinned_rows, pinned_spec

    errors = window.errors()
    said = f"Error {number(errors[at], 3)}"
    if not np.isnan(errors).all():
        best = int(np.nanargmin(errors))
        said += ", its lowest" if best == at else f", lowest {number(errors[best], 3)} at step {seen.step[best]:,}"
    # Two short lines, so that the charts of a row start at one height.
    st.markdown(f"**{plain(window.channel)}** after {moment(window.cutoff)}")
    st.caption(
        f"{said}; {plain(window.reference_name)} {number(window.reference_error(), 3)}",
        help="Mean absolute error over the horizon, in the data's own units.",
    )
    st.vega_lite_chart(
        pinned_rows(window, at), pinned_spec(window), key=key,
        alt=f"Forecast of {window.channel} after {moment(window.cutoff)} at {_title(seen, at)}",
    )  # fmt: skip


def _why_none(run: Run) -> str:
    try:
        training = run.config.training
        wanted = training.pinned_windows if training else 0
    except ConfigError:  # of another version; its progress can be looked at all the same
        wanted = 0
    if not wanted:
        return "This run keeps no forecasts of its validations (setting *Pinned windows*)."
    if run.active:
        return f"The forecasts of {wanted} validation windows appear here with the first validation."
    return "This run has kept no forecasts: it ended before its first validation, or an earlier version made it."
