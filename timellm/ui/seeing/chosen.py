"""What every view of the Attention page is given: a run, and one window of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from timellm.ui import keys
from timellm.ui.pickers import pick_channel
from timellm.ui.run_results import Results
from timellm.ui.windows import test_cutoffs
from timellm.ui.words import moment

if TYPE_CHECKING:
    from timellm.explain.attention import AttentionMap


@dataclass(frozen=True)
class Chosen:
    """A run, and the window of it that was chosen."""

    results: Results
    channel: str
    cutoff: pd.Timestamp
    """Time of the window's last row."""

    def attention(self) -> AttentionMap:
        """Attention of the window."""
        return self.results.attention(self.channel, cutoff=self.cutoff)


def choose_cutoff(chosen: Chosen, *, counts: bool) -> Chosen:
    """Let the user choose a window of the channel: one of the test part, or the last of the data.

    Where the view shows no single window, so that the choice does not count, the slider stays as it is and is off.
    """
    ends, step = test_cutoffs(chosen.results.prepared(), chosen.channel)
    if len(ends) == 1:
        return replace(chosen, cutoff=ends[0])
    cutoff = st.select_slider(
        "Window ends at" if counts else "Window ends at (this view is not about a single window)",
        ends, value=ends[-1], format_func=moment, disabled=not counts,
        help=f"Windows of the test period, {step:,} row{'' if step == 1 else 's'} apart, and the last one of the data.",
        **keys.in_address("until", ends),
    )  # fmt: skip
    return replace(chosen, cutoff=cutoff)


def choose_channel(results: Results, where: DeltaGenerator) -> Chosen:
    """Let the user choose a channel; the window is the last one of the data."""
    table = results.table()
    with where:
        channel = pick_channel(results, tuple(table.channels))
    return Chosen(results, channel, table.values.index[-1])
