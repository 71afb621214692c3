"""What may hold of a patch: when it lies in the calendar, what pattern it shows, what other patch it is like.

Inputs: attention over a test period (timellm.explain.period). Outputs: for each of its patches whether it meets the
condition. A patch lies where its middle row lies.

Shapes: W windows, P patches, S patch length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from timellm.data.calendar import Grain
from timellm.errors import DataError
from timellm.explain.period import PeriodAttention, patches_of
from timellm.explain.reader import AttentionReader

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip
_STEEP, _LOW, _TREND, _FLAT = 1.0, 0.5, 0.7, 1e-6
PATTERNS = {
    "Peak": f"its highest value lies at least {_STEEP:g} deviation of the window above both of its ends",
    "Trough": f"its lowest value lies at least {_STEEP:g} deviation of the window below both of its ends",
    "Rise": f"it correlates with time by {_TREND:g} or more and spans at least {_STEEP:g} deviation of the window",
    "Fall": f"it correlates with time by -{_TREND:g} or less and spans at least {_STEEP:g} deviation of the window",
    "Flat": f"it spans at most {_LOW:g} deviations of the window",
}
"""Patterns of a patch, each with its rule."""


class Condition(Protocol):
    """Which patches are compared with all of them."""

    @property
    def words(self) -> str:
        """What goes on after "patches that"."""
        ...

    def meets(self, period: PeriodAttention) -> np.ndarray:
        """Whether each patch meets it, [W, P]."""
        ...


@dataclass(frozen=True)
class Hours:
    """The patch lies in these hours of the day, both included; over midnight if `first` is the later one."""

    first: int
    last: int

    @property
    def words(self) -> str:
        """What goes on after "patches that"."""
        return f"lie between {self.first:02d}:00 and {self.last:02d}:59"

    def meets(self, period: PeriodAttention) -> np.ndarray:
        """Whether each patch meets it, [W, P]."""
        hour_WP = period.of_middles("hour")
        after_WP, before_WP = hour_WP >= self.first, hour_WP <= self.last
        return after_WP & before_WP if self.first <= self.last else after_WP | before_WP


@dataclass(frozen=True)
class Days:
    """The patch lies on one of these days of the week."""

    days: tuple[str, ...]

    @property
    def words(self) -> str:
        """What goes on after "patches that"."""
        return f"lie on {_and(self.days)}"

    def meets(self, period: PeriodAttention) -> np.ndarray:
        """Whether each patch meets it, [W, P]."""
        return np.isin(period.of_middles("day_of_week"), [DAYS.index(day) for day in self.days])


@dataclass(frozen=True)
class Month:
    """The patch lies in this month."""

    month: str

    @property
    def words(self) -> str:
        """What goes on after "patches that"."""
        return f"lie in {self.month}"

    def meets(self, period: PeriodAttention) -> np.ndarray:
        """Whether each patch meets it, [W, P]."""
        return period.of_middles("month") == MONTHS.index(self.month) + 1


@dataclass(frozen=True)
class Pattern:
    """The patch shows one of `PATTERNS`."""

    name: str

    @property
    def words(self) -> str:
        """What goes on after "patches that"."""
        return {"Flat": "are flat", "Rise": "rise", "Fall": "fall"}.get(self.name, f"show a {self.name.lower()}")

    def meets(self, period: PeriodAttention) -> np.ndarray:
        """Whether each patch meets it, [W, P]."""
        patches_WPS = period.patches()
        ends_WP2 = patches_WPS[..., [0, -1]]
        high_WP, low_WP = patches_WPS.max(axis=-1), patches_WPS.min(axis=-1)
        span_WP = high_WP - low_WP
        match self.name:
            case "Peak":
                return high_WP - ends_WP2.max(axis=-1) >= _STEEP
            case "Trough":
                return ends_WP2.min(axis=-1) - low_WP >= _STEEP
            case "Flat":
                return span_WP <= _LOW
        time_S = np.arange(patches_WPS.shape[-1], dtype=np.float64)
        trend_WP = correlation(patches_WPS, time_S if self.name == "Rise" else -time_S)
        return (trend_WP >= _TREND) & (span_WP >= _STEEP)


@dataclass(frozen=True)
class Like:
    """The patch's values correlate with those of another patch by `limit` or more."""

    patch: int
    """Its number, from 1."""
    values: tuple[float, ...]
    """[S]."""
    limit: float

    @classmethod
    def of(cls, context_T: np.ndarray, reader: AttentionReader, *, patch: int, limit: float) -> Like:
        """Like patch number `patch` of a context.

        Raises:
            DataError: the patch is flat, so that nothing correlates with it.
        """
        values_S = patches_of(context_T[None], reader)[0, patch - 1]
        if np.ptp(values_S) <= _FLAT:
            raise DataError(f"patch {patch} is flat, so no patch is like it; choose another patch")
        return cls(patch, tuple(values_S.tolist()), limit)

    @property
    def words(self) -> str:
        """What goes on after "patches that"."""
        return f"are like patch {self.patch} (correlation of {self.limit:g} or more)"

    def meets(self, period: PeriodAttention) -> np.ndarray:
        """Whether each patch meets it, [W, P]."""
        return correlation(period.patches(), np.array(self.values)) >= self.limit


def _and(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def calendar_parts(grain: Grain) -> tuple[str, ...]:
    """Parts of the calendar that tell rows of such a step apart."""
    months = ("Month",)
    return {"hour": ("Hours", "Days of the week", *months), "day": ("Days of the week", *months), "month": months}.get(
        grain, ()
    )


def months_in(period: PeriodAttention) -> tuple[str, ...]:
    """Months in which patches of the period lie, in the order of the year."""
    return tuple(MONTHS[month - 1] for month in np.unique(period.of_middles("month")))


def correlation(patches_WPS: np.ndarray, shape_S: np.ndarray) -> np.ndarray:
    """Correlation of each patch [W, P] with a shape that is not flat; 0 where a patch is flat."""
    centred_WPS = patches_WPS - patches_WPS.mean(axis=-1, keepdims=True)
    size_WP = np.linalg.norm(centred_WPS, axis=-1)
    shape_S = shape_S - shape_S.mean()
    product_WP = centred_WPS @ (shape_S / np.linalg.norm(shape_S))
    return np.divide(product_WP, size_WP, out=np.zeros_like(product_WP), where=size_WP > _FLAT)
