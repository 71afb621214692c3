"""Forecasts of test windows are read piece by piece, and are what was written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.files import parquetfile
from timellm.forecasting.artifacts import RunFolder

HORIZON, FILE = 5, "test_forecasts.parquet"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> PreparedData:
    path = tmp_path_factory.mktemp("table") / "load.csv"
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 3)), columns=list("abc"))
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=400, freq="h"))
    frame.to_csv(path, index=False)
    config = RunConfig.create(path, kind="ridge", context=24, horizon=HORIZON)
    return PreparedData.of(load_table(config.data), config)


@pytest.mark.parametrize("batch_rows", [1, 7, 10_000])
def test_windows_come_back_as_they_were_written_whatever_the_pieces(prepared, tmp_path, monkeypatch, batch_rows):
    monkeypatch.setattr(parquetfile, "_BATCH_ROWS", batch_rows)
    index = prepared.windows("test")
    forecast_WH = np.random.default_rng(1).normal(size=(len(index), HORIZON)).astype(np.float32)
    folder = RunFolder(tmp_path)
    with folder.writing_test_forecasts(prepared) as writer:
        for rows in np.array_split(np.arange(len(index)), 4):
            writer.write(WindowIndex(index.channel[rows], index.origin[rows], 0), forecast_WH[rows])
    found, read_WH = folder.test_windows(prepared)
    np.testing.assert_array_equal(found.channel, index.channel)
    np.testing.assert_array_equal(found.origin, index.origin)
    np.testing.assert_array_equal(read_WH, forecast_WH.astype(np.float64))


def test_row_groups_may_name_their_channels_in_another_order(prepared, tmp_path):
    kinds = (pa.dictionary(pa.int32(), pa.string()), pa.int64(), pa.list_(pa.float32(), HORIZON))
    schema = pa.schema(list(zip(("unique_id", "origin", "yhat"), kinds, strict=True)))
    with pq.ParquetWriter(tmp_path / FILE, schema) as writer:
        for names in (["c", "a"], ["b", "c"]):
            columns = [
                pa.array(names).dictionary_encode(),
                pa.array([300, 301]),
                pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(2 * HORIZON, np.float32)), HORIZON),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    found, _ = RunFolder(tmp_path).test_windows(prepared)
    assert found.channel.tolist() == [2, 0, 1, 2]


@pytest.mark.parametrize(
    ("name", "steps", "match"), [("d", HORIZON, "a channel that the table does not"), ("a", 3, "not of 5 steps")]
)
def test_windows_of_another_table_are_refused(prepared, tmp_path, name, steps, match):
    rows = {"unique_id": [name] * 2, "origin": [300, 301], "yhat": [[0.0] * steps] * 2}
    pq.write_table(pa.table(rows), tmp_path / FILE)
    with pytest.raises(CheckpointError, match=match):
        RunFolder(tmp_path).test_windows(prepared)
