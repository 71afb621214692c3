"""A run folder as its readers and writers see it: one small file per result, each written whole or not at all.

config.json            settings in force (timellm.training.checkpoint)
adapter.safetensors    trained tensors   (timellm.training.checkpoint)
table.parquet, .json   the values learned from, so that the folder stands without the CSV
scaler.json            mean and scale by channel
pinned_forecasts.parquet  how the forecasts of a few validation windows came about (timellm.training.pinned)
test_forecasts.parquet one row a test window: unique_id, origin, yhat [H]
scores.json            errors of the model and the baselines
future.parquet         forecast beyond the data: unique_id, ds, yhat
prototypes.safetensors the prototypes, so that attention is read without loading the backbone
words.json             the vocabulary words nearest to each prototype
summary.json           a run's outcome in a few numbers
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.season import season_length
from timellm.data.table import Table
from timellm.data.windows import Scaler, WindowIndex
from timellm.errors import CheckpointError
from timellm.forecasting.baselines import LAST_VALUE, SEASONAL_NAIVE, last_value, seasonal_naive
from timellm.forecasting.scores import MODEL_NAME, Scores, WindowForecasts
from timellm.json_text import read_json
from timellm.training.checkpoint import load_config
from timellm.training.tensorfile import read_tensors, write_tensors
from timellm.workspace import write_whole

T = TypeVar("T")

_CHECKED = {"write_page_checksum": True}  # so that a flipped bit is found when the page is read


class RunFolder:
    """Reads and writes the files of one run; a reader raises CheckpointError when its file is missing or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def config(self) -> RunConfig:
        """Settings in force."""
        return load_config(self.path)

    def save_table(self, table: Table) -> None:
        """Keep the values that the run learns from."""
        facts = {
            "frequency": table.frequency,
            "time_column": table.time_column,
            "layout": table.layout,
            "notes": table.notes,
        }
        self._write_json("table.json", facts)
        write_whole(self.path / "table.parquet", lambda path: table.values.to_parquet(path, **_CHECKED))

    def table(self) -> Table:
        """The values that the run learned from."""
        values = self._read("table.parquet", _read_frame, what="table")

        def table(facts: Any) -> Table:
            return Table(values, facts["frequency"], facts["time_column"], facts["layout"], tuple(facts["notes"]))

        return self._read_json("table.json", table, what="table")

    def save_scaler(self, scaler: Scaler) -> None:
        """Keep mean and scale by channel."""
        self._write_json("scaler.json", {"mean": scaler.mean.tolist(), "scale": scaler.scale.tolist()})

    def scaler(self) -> Scaler:
        """Mean and scale by channel, in the order of the table's channels."""

        def scaler(facts: Any) -> Scaler:
            return Scaler(np.array(facts["mean"], np.float64), np.array(facts["scale"], np.float64))

        return self._read_json("scaler.json", scaler, what="scaler")

    def prepared(self) -> PreparedData:
        """The table as the network saw it."""
        return PreparedData.of(self.table(), self.config(), scaler=self.scaler())

    def save_test_forecasts(self, index: WindowIndex, *, forecast: np.ndarray, channels: tuple[str, ...]) -> None:
        """Keep the forecasts [W, H] of the test windows, in original units, as float32."""
        flat = pa.array(forecast.astype(np.float32).ravel())
        rows = pa.table(
            {
                "unique_id": pa.DictionaryArray.from_arrays(pa.array(index.channel), pa.array(channels)),
                "origin": pa.array(index.origin),
                "yhat": pa.FixedSizeListArray.from_arrays(flat, forecast.shape[1]),
            }
        )
        # Numbers that hardly repeat: a dictionary makes the file larger, equal leading bytes side by side smaller.
        layout = {"use_dictionary": ["unique_id"], "use_byte_stream_split": ["yhat.list.element"]}
        write_whole(self.path / "test_forecasts.parquet", lambda path: pq.write_table(rows, path, **layout, **_CHECKED))

    def test_forecasts(self) -> WindowForecasts:
        """Test windows: what came, the model's forecasts and the baselines'."""
        prepared = self.prepared()
        rows = self._read("test_forecasts.parquet", _read_rows, what="test forecast")
        forecast = rows["yhat"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1).astype(np.float64)
        number = {name: i for i, name in enumerate(prepared.table.channels)}
        channel = np.array([number[name] for name in rows["unique_id"].to_pylist()], np.int64)
        return with_baselines(prepared, WindowIndex(channel, rows["origin"].to_numpy(), 0), forecast=forecast)

    def save_scores(self, scores: Scores) -> None:
        """Keep the errors on the test part."""
        self._write_json("scores.json", scores.to_dict())

    def scores(self) -> Scores:
        """Errors on the test part."""
        return self._read_json("scores.json", Scores.from_dict, what="score")

    def save_future(self, forecast: pd.DataFrame) -> None:
        """Keep the forecast beyond the data."""
        write_whole(self.path / "future.parquet", lambda path: forecast.to_parquet(path, index=False, **_CHECKED))

    def future(self) -> pd.DataFrame:
        """Forecast beyond the data: unique_id, ds, yhat."""
        return self._read("future.parquet", _read_frame, what="forecast")

    def save_dictionary(self, prototypes_VD: Tensor, *, words: list[list[str]]) -> None:
        """Keep the prototypes as the trained weights give them, and the words nearest to each."""
        tensors = {"prototypes": prototypes_VD.float()}
        write_tensors(self.path / "prototypes.safetensors", tensors, facts={"of": "prototypes"})
        self._write_json("words.json", words)

    def prototypes(self) -> Tensor:
        """Prototypes [V, D]."""
        return self._read("prototypes.safetensors", _read_prototypes, what="prototype dictionary")

    def words(self) -> list[list[str]]:
        """Words nearest to each prototype, nearest first."""
        return self._read_json("words.json", list, what="prototype dictionary")

    def save_summary(self, summary: dict[str, Any]) -> None:
        """Keep the outcome in a few numbers."""
        self._write_json("summary.json", summary)

    def summary(self) -> dict[str, Any]:
        """The outcome in a few numbers."""
        return self._read_json("summary.json", dict, what="summary")

    def _write_json(self, name: str, content: Any) -> None:
        text = json.dumps(content, allow_nan=False)
        write_whole(self.path / name, lambda path: path.write_text(text, encoding="utf-8"))

    def _read_json(self, name: str, make: Callable[[Any], T], *, what: str) -> T:
        return self._read(name, lambda path: make(read_json(path)), what=what)

    def _read(self, name: str, read: Callable[[Path], T], *, what: str) -> T:
        path = self.path / name
        if not path.is_file():
            raise CheckpointError(f"the run in {self.path.name} has no {what} yet; let it finish, or start it again")
        try:
            return read(path)
        except PermissionError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror}); let this user read it") from error
        except (ValueError, KeyError, TypeError, OSError, pa.ArrowException) as error:
            raise CheckpointError(f"{path} is damaged ({error}); start the run again") from error


def _read_prototypes(path: Path) -> Tensor:
    return read_tensors(path, remedy="start the run again")[0]["prototypes"]


def _read_rows(path: Path) -> pa.Table:
    return pq.read_table(path, page_checksum_verification=True)


def _read_frame(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path, page_checksum_verification=True)


def with_baselines(prepared: PreparedData, index: WindowIndex, *, forecast: np.ndarray) -> WindowForecasts:
    """Set the model's forecasts [W, H], in original units, beside what came and beside the baselines."""
    # What came is never a filled value: an earlier version's windows may have gaps in their targets.
    actual = sliding_window_view(prepared.table.values.to_numpy(np.float64), prepared.horizon, axis=0)
    place = {"channel": index.channel, "origin": index.origin, "horizon": prepared.horizon}
    return WindowForecasts(
        channels=prepared.table.channels,
        channel=index.channel,
        origin=index.origin,
        actual=actual[index.origin, index.channel],
        forecast={
            MODEL_NAME: forecast,
            LAST_VALUE: last_value(prepared.past, **place),
            SEASONAL_NAIVE: seasonal_naive(prepared.past, **place, season=season_length(prepared.table.frequency)),
        },
    )
