"""The effect of what is known ahead: taken off the values before a forecaster sees them, and added to its forecasts.

With it, every kind of forecaster can use columns known ahead: it learns and forecasts what is left (a regression whose
errors follow a forecaster of their own). How the weights are found says timellm.forecasters.known.

The effect of a row follows from the columns in this row and in rows before it, and from the calendar. No value of a
channel is read, so that nothing of the future can leak through it but what is known ahead.

Shapes: S rows, N channels, F numbers of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from timellm.data.gaps import Missing
from timellm.data.known_basis import KnownBasis
from timellm.data.table import Table
from timellm.errors import DataError


@dataclass(frozen=True)
class KnownEffects:
    """Weights of a basis, for each channel of a run."""

    basis: KnownBasis
    channels: tuple[str, ...]
    weights_NF: np.ndarray
    """In units of the data."""
    centre_F: np.ndarray
    """Means over the training rows, so that an effect is 0 in the mean and the scale of the values stays as it is."""

    def of(self, table: Table, *, ahead: int, missing: Missing) -> np.ndarray:
        """The effect [S, N] on the table's channels, S its rows and `ahead` more; NaN where a column is not known."""
        rows = len(table.values)
        filled_SNK = table.known.filled(rows, missing) if table.known else None
        effect_SN = np.empty((rows + ahead, len(table.channels)))
        shared = table.known is None or not table.known.by_channel
        numbers_SF: np.ndarray | None = None
        for number, name in enumerate(table.channels):
            if numbers_SF is None or not shared:
                numbers_SF = self.basis.rows(table, channel=number, ahead=ahead, filled_SNK=filled_SNK)
            effect_SN[:, number] = (numbers_SF - self.centre_F) @ self.weights_NF[self.channels.index(name)]
        return effect_SN

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "basis": self.basis.to_dict(),
            "channels": list(self.channels),
            "weights": self.weights_NF.tolist(),
            "centre": self.centre_F.tolist(),
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        basis, channels = KnownBasis.from_dict(tree["basis"]), tuple(map(str, tree["channels"]))
        weights_NF = np.array(tree["weights"], np.float64).reshape(len(channels), -1)
        centre_F = np.array(tree["centre"], np.float64)
        if weights_NF.shape != (len(channels), basis.count) or centre_F.shape != (basis.count,):
            raise ValueError(f"its weights are {weights_NF.shape} and not {(len(channels), basis.count)}")
        if not (np.isfinite(weights_NF).all() and np.isfinite(centre_F).all()):
            raise ValueError("a weight is not finite")
        return cls(basis, channels, weights_NF, centre_F)


def check_known(table: Table, *, ahead: int, channels: tuple[int, ...]) -> None:
    """Refuse a forecast beyond the table's end where a column known ahead misses a value that it needs.

    Raises:
        DataError: names column, row and remedy.
    """
    if table.known is None:
        return
    index = table.future_index(ahead)
    known = table.known
    rows = known.index.get_indexer(index)
    for place, name in enumerate(known.names):
        for number in channels if known.by_channel else channels[:1]:
            values_H = np.where(rows >= 0, known.values_SNK[rows, number if known.by_channel else 0, place], np.nan)
            if np.isnan(values_H).any():
                count, first = int(np.isnan(values_H).sum()), index[int(np.isnan(values_H).argmax())]
                of = f" of series '{table.channels[number]}'" if known.by_channel else ""
                raise DataError(
                    f"column '{name}'{of} is known ahead, and its value at {moment(first)} is missing ({count:,} of the"
                    f" {ahead:,} rows to forecast); add these rows to the table, give them in a second file with"
                    " --known, or type them on the Forecast page under 'What if'"
                )


def moment(when: pd.Timestamp) -> str:
    """A timestamp without a time of day that is midnight."""
    return f"{when:%Y-%m-%d}" if when == when.normalize() else f"{when:%Y-%m-%d %H:%M}"
