"""The forecasts of a run's test windows, kept so that they are scored, drawn and compared without its model.

test_forecasts.parquet   one row a window: unique_id, origin, yhat [H], in original units.

Shapes: B batch, W windows, H horizon.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.files.parquetfile import read_parquet_in_batches, writing_parquet

TEST_FORECASTS = "test_forecasts.parquet"


class ForecastWriter:
    """Writes forecasts, batch by batch."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema, channels: pa.Array) -> None:
        self._writer, self._schema, self._channels = writer, schema, channels

    def write(self, index: WindowIndex, forecast_BH: np.ndarray) -> None:
        """Write the forecasts [B, H] of the windows in `index`.

        Raises:
            OSError: the disk is full.
        """
        flat = pa.array(forecast_BH.astype(np.float32).ravel())
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(index.channel, pa.int32()), self._channels),
            pa.array(index.origin, pa.int64()),
            pa.FixedSizeListArray.from_arrays(flat, forecast_BH.shape[1]),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))


@contextlib.contextmanager
def writing_forecasts(path: Path, prepared: PreparedData) -> Iterator[ForecastWriter]:
    """A writer of forecasts of windows of this table; the file appears when the block ends."""
    fields = [("unique_id", pa.dictionary(pa.int32(), pa.string())), ("origin", pa.int64())]
    fields.append(("yhat", pa.list_(pa.float32(), prepared.horizon)))
    # Numbers that hardly repeat: a dictionary makes the file larger, equal leading bytes side by side smaller.
    layout = {"use_dictionary": ["unique_id"], "use_byte_stream_split": ["yhat.list.element"]}
    schema = pa.schema(fields)
    with writing_parquet(path, schema, **layout) as writer:
        yield ForecastWriter(writer, schema, pa.array(prepared.table.channels, pa.string()))


def read_forecasts(path: Path, prepared: PreparedData) -> tuple[WindowIndex, np.ndarray]:
    """The windows of this table that a file has, and the forecasts [W, H] of them.

    Raises:
        ValueError: the file is damaged, or belongs to another table.
        OSError: it cannot be read.
    """
    channels, horizon = prepared.table.channels, prepared.horizon
    most = len(channels) * len(prepared.values)
    count, batches = read_parquet_in_batches(path, most_rows=most, most_values=most * (horizon + 2))
    channel, origin = np.empty(count, np.int64), np.empty(count, np.int64)
    forecast_WH = np.empty((count, horizon))
    number, done = {name: i for i, name in enumerate(channels)}, 0
    for batch in batches:
        rows = slice(done, done + len(batch))
        names = np.array([number.get(name, -1) for name in batch["unique_id"].dictionary.to_pylist()], np.int64)
        channel[rows] = names[batch["unique_id"].indices.to_numpy(zero_copy_only=False)]
        origin[rows] = batch["origin"].to_numpy()
        flat = batch["yhat"].flatten().to_numpy(zero_copy_only=False)
        if len(flat) != len(batch) * horizon:
            raise ValueError(f"its forecasts are not of {horizon:,} steps")
        forecast_WH[rows] = flat.reshape(len(batch), horizon)
        done += len(batch)
    if done != count or (count and channel.min() < 0):
        raise ValueError("it has fewer windows than it declares, or one of a channel that the table does not have")
    if len(origin) and not prepared.context <= origin.min() <= origin.max() <= len(prepared.values) - horizon:
        raise ValueError("a window of it lies outside of the table")
    return WindowIndex(channel, origin, 0), forecast_WH
