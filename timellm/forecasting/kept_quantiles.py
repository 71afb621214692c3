"""The own quantiles of a run's test windows, and beyond its data, kept so that bands are drawn without its model.

test_quantiles.parquet, future_quantiles.parquet   one row a window: unique_id, origin, offsets [H x Q]: quantile less
forecast, in spreads of the window (timellm.evaluation.intervals), in half precision, which is a thousandth of a width.

Only a run whose model gives quantiles has these files: 2 bytes for each window, step and level.

Shapes: W windows, H horizon, Q quantiles.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, one_line
from timellm.evaluation.own_quantiles import Predicted
from timellm.files.parquetfile import MOST_VALUES, read_parquet_in_batches, writing_parquet

TEST_QUANTILES, FUTURE_QUANTILES = "test_quantiles.parquet", "future_quantiles.parquet"
_MOST = 60_000.0  # of half precision
_OFFSETS = "offsets"


@dataclass(frozen=True)
class QuantileWriter:
    """Writes quantiles, batch by batch."""

    writer: pa.parquet.ParquetWriter
    schema: pa.Schema
    channels: pa.Array

    def write(self, index: WindowIndex, said: Predicted) -> None:
        """Write what the model says of the windows in `index`.

        Raises:
            OSError: the disk is full.
        """
        assert said.quantiles_WHQ is not None
        offset_WHQ = (said.quantiles_WHQ - said.forecast_WH[..., None]) / said.spread_W[:, None, None]
        flat = pa.array(np.clip(offset_WHQ, -_MOST, _MOST).astype(np.float16).ravel())
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(index.channel, pa.int32()), self.channels),
            pa.array(index.origin, pa.int64()),
            pa.FixedSizeListArray.from_arrays(flat, self.schema.field(_OFFSETS).type.list_size),
        ]
        self.writer.write_table(pa.Table.from_arrays(columns, schema=self.schema))


@contextlib.contextmanager
def writing_quantiles(path: Path, *, channels: tuple[str, ...], numbers: int) -> Iterator[QuantileWriter]:
    """A writer of rows of so many numbers, horizon times levels; the file appears when the block ends."""
    fields = [("unique_id", pa.dictionary(pa.int32(), pa.string())), ("origin", pa.int64())]
    fields.append((_OFFSETS, pa.list_(pa.float16(), numbers)))
    schema = pa.schema(fields)
    # Not compressed: offsets that were never learned are equal everywhere, and would shrink as no real columns do.
    with writing_parquet(path, schema, use_dictionary=["unique_id"], compression="none") as writer:
        yield QuantileWriter(writer, schema, pa.array(channels, pa.string()))


@dataclass(frozen=True)
class KeptQuantiles:
    """The two files of a run."""

    folder: Path
    channels: tuple[str, ...]
    horizon: int
    levels: tuple[float, ...]

    def of(self, index: WindowIndex, forecast_WH: np.ndarray, spread_W: np.ndarray) -> Predicted:
        """What the model says of windows of the run's own table.

        Raises:
            CheckpointError: a file is missing or damaged, or lacks a window.
        """
        offset_WHQ = np.full((*forecast_WH.shape, len(self.levels)), np.nan)
        missing_W = np.ones(len(index), bool)
        for name in (TEST_QUANTILES, FUTURE_QUANTILES):
            path = self.folder / name
            if not missing_W.any() or not path.is_file():
                continue
            place_W, kept_WHQ = self._read(path)
            wanted = np.flatnonzero(missing_W)
            asked_W = _places(index.channel[wanted], index.origin[wanted])
            rows = np.minimum(np.searchsorted(place_W, asked_W), max(len(place_W) - 1, 0))
            found = place_W[rows] == asked_W if len(place_W) else np.zeros(len(wanted), bool)
            offset_WHQ[wanted[found]] = kept_WHQ[rows[found]]
            missing_W[wanted[found]] = False
        if missing_W.any():
            row = int(index.origin[missing_W][0])
            raise CheckpointError(
                f"the run in {self.folder.name} keeps no quantiles of the window that begins at row {row:,}; evaluate"
                " the run again"
            )
        quantiles_WHQ = forecast_WH[..., None] + offset_WHQ * spread_W[:, None, None]
        return Predicted(forecast_WH, spread_W, quantiles_WHQ, self.levels)

    def check(self) -> None:
        """Read both files.

        Raises:
            CheckpointError: one is damaged.
        """
        for name in (TEST_QUANTILES, FUTURE_QUANTILES):
            if (self.folder / name).is_file():
                self._read(self.folder / name)

    def _read(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        found = path.stat()
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        try:
            return _rows(path.absolute(), version, self.channels, (self.horizon, len(self.levels)))
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({one_line(error)}); evaluate the run again") from error
        except (ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
            raise CheckpointError(f"{path} is damaged ({one_line(error)}); evaluate the run again") from error


@lru_cache(maxsize=2)
def _rows(
    path: Path, version: tuple[int, int, int], channels: tuple[str, ...], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Places of windows, rising, and their offsets [W, H, Q]; `version` tells one content of the file from another."""
    count, batches = read_parquet_in_batches(path, most_rows=MOST_VALUES, most_values=MOST_VALUES)
    place_W, offset_WHQ = np.empty(count, np.int64), np.empty((count, *shape), np.float16)
    number, done = {name: place for place, name in enumerate(channels)}, 0
    for batch in batches:
        rows = slice(done, done + len(batch))
        names = np.array([number[name] for name in batch["unique_id"].dictionary.to_pylist()], np.int64)
        channel = names[batch["unique_id"].indices.to_numpy(zero_copy_only=False)]
        place_W[rows] = _places(channel, batch["origin"].to_numpy())
        offset_WHQ[rows] = batch[_OFFSETS].flatten().to_numpy(zero_copy_only=False).reshape(len(batch), *shape)
        done += len(batch)
    if done != count:
        raise ValueError("it has fewer windows than it declares")
    if not (np.diff(place_W) > 0).all():  # as they are written
        order = np.argsort(place_W)
        place_W, offset_WHQ = place_W[order], offset_WHQ[order]
    if (np.diff(place_W) == 0).any():
        raise ValueError("a window is named twice")
    return place_W, offset_WHQ


def _places(channel_W: np.ndarray, origin_W: np.ndarray) -> np.ndarray:
    return channel_W.astype(np.int64) * 2**40 + origin_W
