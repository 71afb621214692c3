"""How the forecasts of a few validation windows came about: they are kept at every validation.

Inputs: the forecasts that a validation has made anyway, so that looking on changes nothing about training. Leaves:
`pinned_forecasts.parquet` in the run's folder, a row for each validation and window: step, epoch, unique_id, origin,
yhat [H] in original units. It is written whole at every validation, and takes validations x windows x H x 4 bytes.

Shapes: W validation windows, P pinned windows, H horizon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from timellm.training.kept_rows import RowsByStep

if TYPE_CHECKING:  # pages read what is kept here, and want no torch for it
    from timellm.data.prepared import PreparedData
    from timellm.data.windows import WindowIndex

PINNED = "pinned_forecasts.parquet"


def pinned_positions(index: WindowIndex, count: int) -> np.ndarray:
    """Positions [P <= count] in `index` of windows that are spread over its channels and over time, in order."""
    if not count or len(index) <= count:
        return np.arange(min(count, len(index)))
    channels = np.unique(index.channel)
    chosen = []
    for number in range(count):
        mine = np.flatnonzero(index.channel == channels[number * len(channels) // count])
        chosen.append(mine[int((number + 0.5) / count * len(mine))])
    return np.unique(np.array(chosen))


@dataclass(frozen=True)
class PinnedWindows:
    """Keeps the forecasts of some of the windows that every validation looks at."""

    folder: Path
    prepared: PreparedData
    validated: WindowIndex
    """The windows of every validation."""
    count: int
    """How many are pinned at most."""
    steps_per_epoch: float

    @classmethod
    def of(cls, prepared: PreparedData, folder: Path) -> Self:
        """Those of a run on this table, as its settings say.

        Raises:
            DataError: the table has no training or validation window.
        """
        training, windows = prepared.config.trained, len(prepared.windows("training"))
        return cls(
            folder,
            prepared,
            validated=prepared.windows("validation").evenly(training.validation_windows),
            count=training.pinned_windows,
            steps_per_epoch=windows / min(training.batch_size, windows),
        )

    def go_on_from(self, step: int | None) -> None:
        """Training goes on after a validation at `step`: what was kept of later ones is made again; all if None.

        Raises:
            CheckpointError: the file is damaged.
        """
        self._rows.go_on_from(step)

    def add(self, step: int, forecast_WH: np.ndarray) -> None:
        """Keep a validation at `step`, of whose forecasts [W, H] on z-scored values the pinned ones are taken.

        Raises:
            OSError: the disk is full; what was kept before stays.
            CheckpointError: the file is damaged.
        """
        channel, origin = self.index.channel, self.index.origin
        yhat_PH = self.prepared.restore(forecast_WH[self.positions].astype(np.float64), self.index)
        rows = pa.table(
            {
                "step": pa.array([step] * len(origin), pa.int64()),
                "epoch": pa.array([step / self.steps_per_epoch] * len(origin), pa.float64()),
                "unique_id": pa.array([self.prepared.table.channels[number] for number in channel], pa.string()),
                "origin": pa.array(origin, pa.int64()),
                "yhat": pa.FixedSizeListArray.from_arrays(
                    pa.array(yhat_PH.astype(np.float32).ravel()), yhat_PH.shape[1]
                ),
            }
        )
        self._rows.add(rows)

    @property
    def positions(self) -> np.ndarray:
        """Positions [P] of the pinned ones among the windows of every validation."""
        return pinned_positions(self.validated, self.count)

    @property
    def index(self) -> WindowIndex:
        """The pinned windows."""
        chosen = self.positions
        return replace(self.validated, channel=self.validated.channel[chosen], origin=self.validated.origin[chosen])

    @property
    def path(self) -> Path:
        """The file that is kept."""
        return self.folder / PINNED

    @property
    def _rows(self) -> RowsByStep:
        return RowsByStep(self.path)
