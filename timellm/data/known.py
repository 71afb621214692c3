"""Columns that are known ahead, such as a promotion, a price or a temperature forecast.

They are read beside the channels and are never forecast. A column of texts has a number for each text. Their rows are
those of the table and, where they are known, rows after its end.

Shapes: S rows, N channels (1 where a column holds for all channels), K columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from timellm.data.gaps import Missing
from timellm.errors import DataError

MOST_CATEGORIES = 12
"""Texts of one column: each becomes a column of its own, and with more of them each is seen too seldom."""


@dataclass(frozen=True)
class Known:
    """Values of columns that are known ahead."""

    index: pd.DatetimeIndex
    """[S], regular; it begins with the table's first row, and ends with it or later."""
    names: tuple[str, ...]
    values_SNK: np.ndarray
    """Float64, NaN where missing. Of a column of texts, the places of the texts among its categories."""
    categories: Mapping[str, tuple[str, ...]]
    """The texts of each column of texts, sorted."""

    @property
    def by_channel(self) -> bool:
        """Whether every channel has values of its own, as in a long table."""
        return self.values_SNK.shape[1] > 1

    def lacking(self, rows: int, missing: Missing) -> np.ndarray:
        """Whether a value is missing in the first `rows` rows, bool [rows, N].

        With `missing=interpolate` the last known value stands for those after it.
        """
        return np.isnan(self.filled(rows, missing)[:rows]).any(axis=2)

    def filled(self, rows: int, missing: Missing) -> np.ndarray:
        """The values [S, N, K]; with `missing=interpolate`, the first `rows` rows repeat the last known value in gaps.

        Rows after these are the future and are never filled.
        """
        if missing == "skip" or not np.isnan(self.values_SNK[:rows]).any():
            return self.values_SNK
        filled_SNK = self.values_SNK.copy()
        flat = pd.DataFrame(filled_SNK[:rows].reshape(min(rows, len(filled_SNK)), -1)).ffill()
        filled_SNK[:rows] = flat.to_numpy().reshape(filled_SNK[:rows].shape)
        return filled_SNK

    def frame(self, index: pd.DatetimeIndex, *, channel: int = 0) -> pd.DataFrame:
        """The columns of a channel for some moments, as a reader knows them: texts as texts; missing where unknown."""
        values_SK = self.values_SNK[:, channel if self.by_channel else 0]
        rows = self.index.get_indexer(index)
        picked_SK = np.where((rows >= 0)[:, None], values_SK[rows], np.nan)
        columns: dict[str, pd.Series] = {}
        for place, name in enumerate(self.names):
            numbers = pd.Series(picked_SK[:, place], index=index)
            if name in self.categories:
                texts = dict(enumerate(self.categories[name]))
                numbers = numbers.map(texts).astype(pd.CategoricalDtype(list(self.categories[name])))
            columns[name] = numbers
        return pd.DataFrame(columns, index=index)

    def with_frame(self, frame: pd.DataFrame, *, channel: int | None = None) -> Self:
        """The same columns with the values of a frame like those of `frame()`; its rows may lie after the last one.

        `channel` None: for all channels. A missing value stays missing.

        Raises:
            DataError: a column of texts has a text that it never had.
        """
        index = self.index.union(frame.index).rename(self.index.name)
        values_SNK = np.full((len(index), *self.values_SNK.shape[1:]), np.nan)
        values_SNK[index.get_indexer(self.index)] = self.values_SNK
        rows = index.get_indexer(frame.index)
        channels = slice(None) if channel is None or not self.by_channel else slice(channel, channel + 1)
        for name in frame.columns:
            place = self.names.index(name)
            values_SNK[rows, channels, place] = self._numbers(name, frame[name])[:, None]
        return replace(self, index=index, values_SNK=values_SNK)

    def completed(self, newer: Known, *, measured: int) -> Self:
        """The same columns with those of `newer`: they fill gaps in the first `measured` rows, and decide after them.

        Raises:
            DataError: a column of texts has a text that it never had.
        """
        index = newer.index if len(newer.index) > len(self.index) else self.index
        values_SNK = np.full((len(index), *self.values_SNK.shape[1:]), np.nan)
        values_SNK[: len(self.values_SNK)] = self.values_SNK
        own = {name: self.categories[name] for name in newer.names if name in self.categories}
        places = [self.names.index(name) for name in newer.names]
        newer = newer.like(replace(self, names=newer.names, categories=own, values_SNK=self.values_SNK[:, :, places]))
        ahead_S1 = (np.arange(len(index)) >= measured)[:, None]
        for number, name in enumerate(newer.names):
            place = self.names.index(name)
            given_SN = np.full(values_SNK.shape[:2], np.nan)
            given_SN[: len(newer.values_SNK)] = newer.values_SNK[:, :, number]
            decides_SN = ~np.isnan(given_SN) & (ahead_S1 | np.isnan(values_SNK[:, :, place]))
            values_SNK[decides_SN, place] = given_SN[decides_SN]
        return replace(self, index=index, values_SNK=values_SNK)

    def _numbers(self, name: str, column: pd.Series) -> np.ndarray:
        if name not in self.categories:
            return pd.to_numeric(column).to_numpy(np.float64)
        codes = {text: float(place) for place, text in enumerate(self.categories[name])}
        for when, text in column.items():
            if not pd.isna(text) and text not in codes:
                raise unseen_text(name, str(text), f"at {when}", self.categories[name])
        return np.array([np.nan if pd.isna(text) else codes[text] for text in column], np.float64)

    def of_channels(self, numbers: list[int]) -> Self:
        """The values of some channels, in this order."""
        return replace(self, values_SNK=self.values_SNK[:, numbers]) if self.by_channel else self

    def like(self, other: Known) -> Self:
        """The same values with the columns and categories of `other`, a run's own.

        Raises:
            DataError: a column is missing, or a text was never seen.
        """
        for name in other.names:
            if name not in self.names:
                raise DataError(
                    f"the table has no column '{name}', which the run knows ahead; add it, or give it with --known"
                )
        values_SNK = self.values_SNK[:, :, [self.names.index(name) for name in other.names]].copy()
        for place, name in enumerate(other.names):
            mine, theirs = self.categories.get(name, ()), other.categories.get(name, ())
            if bool(mine) != bool(theirs):
                kinds = ("numbers", "texts") if theirs else ("texts", "numbers")
                raise DataError(f"column '{name}' holds {kinds[0]}, and the run learned it from {kinds[1]}; correct it")
            if mine == theirs:
                continue
            for text in mine:
                if text not in theirs:
                    raise unseen_text(name, text, "", theirs)
            codes = np.array([theirs.index(text) for text in mine], np.float64)
            known = ~np.isnan(values_SNK[:, :, place])
            values_SNK[known, place] = codes[values_SNK[known, place].astype(int)]
        return replace(self, names=other.names, values_SNK=values_SNK, categories=dict(other.categories))


def unseen_text(name: str, text: str, where: str, known: tuple[str, ...]) -> DataError:
    """The error of a text that a column never had."""
    place = f" {where}" if where else ""
    return DataError(
        f"column '{name}'{place} says '{text}', which the run has never seen; it knows: {', '.join(known)}. Write one"
        " of these, or train a run on a table that has it"
    )
