"""A Parquet file in a run's folder that gets some rows at every validation, and is written whole each time.

Each row has a column `step`. A run that goes on after an interruption makes its later validations again, so their rows
are dropped first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from timellm.errors import CheckpointError
from timellm.files.parquetfile import read_parquet, write_parquet

if TYPE_CHECKING:  # pages read such files, and want no torch for it
    import numpy as np


class ValidationRecord(Protocol):
    """Keeps something of every validation; looking on must change nothing about training."""

    def go_on_from(self, step: int | None) -> None:
        """Training goes on after a validation at `step`: what was kept of later ones is made again; all if None."""
        ...

    def add(self, step: int, forecast_WH: np.ndarray) -> None:
        """Keep a validation at `step`, which made these forecasts [W, H] on z-scored values."""
        ...


@dataclass(frozen=True)
class RowsByStep:
    """The file."""

    path: Path

    def go_on_from(self, step: int | None) -> None:
        """Drop the rows of validations after `step`; all if None.

        Raises:
            CheckpointError: the file is damaged.
        """
        if not self.path.is_file():
            return
        if step is None:
            self.path.unlink()
            return
        kept = self._read()
        self._write(kept.filter(pc.less_equal(kept["step"], step)))

    def add(self, rows: pa.Table) -> None:
        """Write `rows` behind those that are there.

        Raises:
            OSError: the disk is full; what was kept before stays.
            CheckpointError: the file is damaged.
        """
        self._write(pa.concat_tables([self._read(), rows]) if self.path.is_file() else rows)

    def _read(self) -> pa.Table:
        try:
            return read_parquet(self.path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise CheckpointError(
                f"{self.path} is damaged ({error}); delete it, and what it keeps of later validations is kept"
            ) from error

    def _write(self, rows: pa.Table) -> None:
        # One piece, so that a file that was gone on with is the same to the byte as one that never was.
        write_parquet(self.path, rows.combine_chunks())
