"""A table made ready for the network: gaps treated as asked, split in time, scaled by the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from timellm.config import RunConfig
from timellm.data.source import WindowSource
from timellm.data.table import Table, fill_gaps
from timellm.data.windows import Part, Scaler, Split, WindowIndex, index_windows


@dataclass(frozen=True)
class PreparedData:
    """What training, evaluation and forecasting cut their windows from."""

    table: Table
    values: np.ndarray
    """[R, N] in original units, gaps filled if the configuration asks for it, otherwise NaN."""
    split: Split
    scaler: Scaler
    context: int
    horizon: int

    @classmethod
    def of(cls, table: Table, config: RunConfig, *, scaler: Scaler | None = None) -> Self:
        """Prepare `table`; `scaler` is fitted on its training rows unless one is given.

        Raises:
            ConfigError: the split asks for more rows than there are.
            DataError: a channel has no value in the training rows.
        """
        values = fill_gaps(table.values, config.data.missing).to_numpy(np.float64)
        split = Split.from_rows(config.data.split_rows(len(values)))
        scaler = scaler or Scaler.fit(values[: split.train_end], channels=table.channels)
        return cls(table, values, split, scaler, config.model.context, config.model.horizon)

    @property
    def training_values(self) -> np.ndarray:
        """Training rows [R, N] in original units."""
        return self.values[: self.split.train_end]

    def windows(self, part: Part) -> WindowIndex:
        """Every usable window of a part.

        Raises:
            DataError: there is none; says why.
        """
        return index_windows(self.values, self.split, part=part, context=self.context, horizon=self.horizon)

    def source(self, device: torch.device | str = "cpu") -> WindowSource:
        """The scaled values on a device."""
        return WindowSource(
            self.scaler.transform(self.values), context=self.context, horizon=self.horizon, device=device
        )
