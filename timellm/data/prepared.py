"""A table made ready for the network: split in time, scaled by the training rows, gaps treated as asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch

from timellm.config import RunConfig, TimeLLMConfig
from timellm.data.effects import KnownEffects, check_known
from timellm.data.gaps import Past
from timellm.data.season import suggest_description
from timellm.data.source import WindowSource
from timellm.data.table import Table
from timellm.data.told import Told
from timellm.data.usable import count_windows
from timellm.data.windows import Part, Scaler, Split, WindowIndex, index_windows
from timellm.errors import DataError


@dataclass(frozen=True)
class PreparedData:
    """What training, evaluation and forecasting cut their windows from."""

    table: Table
    config: RunConfig
    values: np.ndarray
    """[R, N] in original units, NaN where missing: gaps are filled window by window, never here."""
    split: Split
    scaler: Scaler
    effects: KnownEffects | None = None
    """What columns known ahead add to the values; None where none is used."""

    @classmethod
    def of(
        cls, table: Table, config: RunConfig, *, scaler: Scaler | None = None, effects: KnownEffects | None = None
    ) -> Self:
        """Prepare `table`; `scaler` is fitted on the known values of its training rows unless one is given.

        `effects` are those of columns known ahead, which timellm.forecasters.known finds.

        Raises:
            ConfigError: the split needs more rows than there are.
            DataError: a channel has no value in the training rows.
        """
        values = table.measured(config.missing)
        split = Split.of(config.task, len(values))
        scaler = scaler or Scaler.fit(values[split.train_begin : split.train_end], channels=table.channels)
        return cls(table, config, values, split, scaler, effects)

    def continued(self, table: Table) -> Self:
        """The same channels of another table, a newer one for example, on the scale of this one's training rows."""
        known = table.known
        if self.table.known is not None:
            if known is None:
                raise DataError(
                    f"the table has no column '{self.table.known.names[0]}', which the run knows ahead; read it with"
                    " the run's settings"
                )
            order = [table.channels.index(name) for name in self.table.channels]
            known = known.like(self.table.known).of_channels(order)
        table = replace(table, values=table.values[list(self.table.channels)], known=known)
        return replace(self, table=table, values=table.measured(self.config.missing))

    @cached_property
    def without_effects(self) -> Self:
        """The same for a forecaster that is not told what is known ahead."""
        return self if self.effects is None else replace(self, effects=None)

    @property
    def context(self) -> int:
        """Rows that the network sees."""
        return self.config.task.context

    @property
    def horizon(self) -> int:
        """Rows that it forecasts."""
        return self.config.task.horizon

    @property
    def training_values(self) -> np.ndarray:
        """Training rows [R, N] in original units, NaN where missing."""
        return self.values[self.split.train_begin : self.split.train_end]

    @property
    def changed_rules(self) -> str:
        """Rules that decide this table's windows and that earlier versions did not have; empty where none applies.

        A training that they began must not go on with other windows; one that no rule touches goes on.
        """
        rules = []
        if self.config.task.missing == "interpolate" and np.isnan(self.values).any():
            rules.append("contexts are filled from their own past")
        split = self.config.task.split
        if split.endswith("%"):
            _, _, test = (int(share.rstrip("%")) for share in split.split("/"))
            if len(self.values) * test % 100:  # they rounded the test part up
                rules.append("the test part is rounded down")
        return "; ".join(rules)

    @cached_property
    def _effect(self) -> np.ndarray | None:
        """The effect [R + H, N] of what is known ahead, in original units; None where there is none."""
        if self.effects is None:
            return None
        return self.effects.of(self.table, ahead=self.horizon, missing=self.config.missing)

    @cached_property
    def seen(self) -> np.ndarray:
        """Values [R, N] that a forecaster sees, in original units: without the effect of what is known ahead."""
        return self.values if self._effect is None else self.values - self._effect[: len(self.values)]

    def with_effect(self, forecast_WH: np.ndarray, index: WindowIndex) -> np.ndarray:
        """Forecasts [W, H], or quantiles [W, H, Q], of what a forecaster sees to those of the values; original units.

        Raises:
            DataError: a window ends after the table, and a column known ahead misses a value there.
        """
        if self._effect is None:
            return forecast_WH
        rows_WH = index.origin[:, None] + np.arange(self.horizon)
        effect_WH = self._effect[rows_WH, index.channel[:, None]]
        if np.isnan(effect_WH[rows_WH >= len(self.values)]).any():
            channels = tuple(int(one) for one in np.unique(index.channel))
            check_known(self.table, ahead=self.horizon, channels=channels)
        return forecast_WH + (effect_WH if forecast_WH.ndim == 2 else effect_WH[..., None])

    def restore(self, scaled_WH: np.ndarray, index: WindowIndex) -> np.ndarray:
        """Z-scored forecasts [W, H] of what a forecaster sees to those of the values, in original units.

        Raises:
            DataError: as `with_effect`.
        """
        return self.with_effect(self.scaler.restore(scaled_WH, channel=index.channel), index)

    @cached_property
    def past(self) -> Past:
        """What was known before any origin and is seen by a forecaster, in original units."""
        return Past.of(self.seen, self.config.missing)

    @cached_property
    def scaled_past(self) -> Past:
        """The same, z-scored by channel."""
        return Past.of(self.scaler.transform(self.seen), self.config.missing)

    def windows(self, part: Part) -> WindowIndex:
        """Every usable window of a part.

        Raises:
            DataError: there is none; says why, and which settings would give some.
        """
        if part not in self._windows:
            self._windows[part] = index_windows(
                self.values,
                self.split,
                part=part,
                context=self.context,
                horizon=self.horizon,
                missing=self.config.missing,
            )
        if not len(self._windows[part]):
            raise DataError(count_windows(self.table, self.config).reason)
        return self._windows[part]

    @cached_property
    def _windows(self) -> dict[Part, WindowIndex]:
        """Parts that were asked for: each forecaster of a run asks again, and the list of a long table takes time."""
        return {}

    def beyond(self, channel: np.ndarray) -> WindowIndex:
        """The window beyond the data of each of these channels [N], whose target nobody has measured.

        It begins after the table's last row or, with `forecast_from=series_end`, after the last value of its channel.
        """
        origin_N = np.full(len(channel), len(self.values), np.int64)
        if self.config.task.forecast_from == "series_end":
            known_RN = ~np.isnan(self.values[:, channel])
            since_N = known_RN[::-1].argmax(axis=0)  # 0 for a channel without a value, too: it ends with the table
            origin_N -= since_N
        return WindowIndex(np.asarray(channel, np.int64), origin_N, 0)

    def source(
        self, device: torch.device | str = "cpu", *, base: Callable[[WindowIndex], np.ndarray] | None = None
    ) -> WindowSource:
        """The scaled values on a device, with the words on their time that the settings ask for, and with `base`.

        Raises:
            ConfigError: the package holidays is needed and missing, or knows no such country.
        """
        forecaster = self.config.forecaster
        tells_time = isinstance(forecaster, TimeLLMConfig) and forecaster.tells_time
        return WindowSource(
            self.scaler.transform(self.seen),
            context=self.context,
            horizon=self.horizon,
            device=device,
            missing=self.config.missing,
            told=Told(self.table, self.config.model) if tells_time else None,
            base=base,
        )


def in_force(config: RunConfig, table: Table) -> RunConfig:
    """The configuration with what was found in the table written out, so that the run can be repeated from it alone."""
    description = config.data.description or suggest_description(table, Path(config.data.path).stem)
    return config.updated(
        description=description,
        channels=table.channels,
        frequency=table.frequency,
        time_column=table.time_column,
        layout=table.layout,
        **table.settings,
    )
