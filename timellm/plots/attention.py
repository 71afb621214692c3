"""What a picture of one window's attention is made of, and the fixed scales of its colours.

Weights [P, K], spans [P, 2] and the window's values go in. `timellm.plots.linked` draws it on a page,
`timellm.plots.attention_print` for print, `timellm.plots.attention_html` as a page of its own. P patches, K prototypes
shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

_TIMES_EVEN = 80


@dataclass(frozen=True)
class Scale:
    """From which value to which the colours go; the same for every window and run with as many prototypes."""

    limit: float
    """A share of attention; what lies beyond it has the last colour."""
    deviation: bool = False
    """From -limit to limit, for differences from an average, instead of from 0."""

    @classmethod
    def of(cls, prototypes: int, *, deviation: bool = False) -> Scale:
        """Up to 80 times the share that each of `prototypes` would get if all got the same, and at most everything.

        On the pedestrians, patches give their favourite prototypes 30 to 120 times that share.
        """
        return cls(min(_TIMES_EVEN / prototypes, 1.0), deviation)

    @property
    def low(self) -> float:
        """The share with the first colour."""
        return -self.limit if self.deviation else 0.0

    @property
    def colours(self) -> tuple[str, ...]:
        """From low to high, evenly spaced; both orders of lightness survive every kind of colour blindness."""
        return _DEVIATION if self.deviation else _SHARE

    @property
    def ends(self) -> tuple[str, str]:
        """What the ends of the scale stand for."""
        percent = f"{100 * self.limit:.3g}"
        if self.deviation:
            return f"{percent} points below the run's average", f"{percent} points above"
        return "0 %", f"{percent} % or more"


# Cividis, thinned; and blue over grey to orange, whose middle is neither the light page nor the dark one.
_SHARE = ("#00204D", "#31446B", "#666970", "#958F78", "#CBBA69", "#FFEA46")
_DEVIATION = ("#1F5FA8", "#6C9ED1", "#C9D3DB", "#DCDCD8", "#E6D3BC", "#E09A4E", "#B35A00")


@dataclass(frozen=True)
class AttentionPicture:
    """What is drawn: some of the prototypes, from the top down."""

    weights_PV: np.ndarray
    """Attention of each patch to each prototype shown, shares of 1, or their differences from an average."""
    labels: tuple[str, ...]
    """Name of each prototype shown: its number and nearest words."""
    spans_P2: np.ndarray
    """First row and last row + 1 of each patch within the window."""
    window: pd.Series
    """The context in original units over time."""
    scale: Scale
    """Of the colours."""

    def span(self, patch: int) -> tuple[pd.Timestamp, pd.Timestamp]:
        """First and last timestamp of a patch; both the last of the window if it lies in the padding behind it."""
        start, last = (min(int(row), len(self.window) - 1) for row in self.spans_P2[patch] - (0, 1))
        return self.window.index[start], self.window.index[last]

    def centre(self, patch: int) -> pd.Timestamp:
        """Middle of a patch in time."""
        first, last = self.span(patch)
        return first + (last - first) / 2

    def cell(self, patch: int) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Where the patch's column in the heatmap begins and ends: half-way to its neighbours, which it overlaps."""
        middle, final = self.centre(patch), len(self.spans_P2) - 1
        left = self.span(0)[0] if patch == 0 else middle - (middle - self.centre(patch - 1)) / 2
        right = self.span(final)[1] if patch == final else middle + (self.centre(patch + 1) - middle) / 2
        return left, right

    def edges(self) -> list[pd.Timestamp]:
        """Where the heatmap's P columns begin, and where the last one ends."""
        cells = [self.cell(patch) for patch in range(len(self.spans_P2))]
        return [cells[0][0], *(right for _, right in cells)]
