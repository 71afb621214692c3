"""A run folder as its readers and writers see it: one small file per result, each written whole or not at all.

config.json            settings in force (timellm.training.checkpoint)
adapter.safetensors    trained tensors   (timellm.training.checkpoint)
table.parquet, .json   the values learned from, so that the folder stands without the CSV
start_adapter.safetensors  adapters at which training began (timellm.forecasters.started)
known.parquet, .json   columns known ahead, for the rows of the table and after its end
known_effects.json     what these columns add to the values (timellm.data.effects)
scaler.json            mean and scale by channel
pinned_forecasts.parquet  how the forecasts of a few validation windows came about (timellm.training.pinned)
attention_history.parquet  attention at every validation (timellm.forecasters.time_llm.attention_history)
ensemble.json          the members of an ensemble (timellm.forecasting.ensemble)
naive.json, ridge.safetensors  the quick forecasters beside the run's own (timellm.forecasting.quick)
test_forecasts.parquet one row a test window (timellm.forecasting.kept_forecasts)
test_quantiles.parquet, future_quantiles.parquet  own quantiles, if there are any (timellm.forecasting.kept_quantiles)
window_errors.parquet  errors of every model by window (timellm.evaluation.window_errors)
scores.json            errors of every model
intervals.parquet      quantiles of the errors of every model (timellm.forecasting.bands)
coverage.parquet       promised and achieved coverage (timellm.evaluation.coverage)
future.parquet         forecast beyond the data: unique_id, ds, yhat
prototypes.safetensors the prototypes, so that attention is read without loading the backbone
words.json             the vocabulary words nearest to each prototype
dictionary.json        how near these words are, and where each prototype began
prototypes_start.safetensors  the prototypes before training, as long as it may go on
summary.json           a run's outcome in a few numbers

Each of these but config.json, which people read and start from, holds a digest of itself, and none is used when it
differs. Files of earlier versions have none and are read as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from torch import Tensor

from timellm.config import RunConfig
from timellm.data.effects import KnownEffects, check_known
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.windows import Scaler, WindowIndex
from timellm.errors import CheckpointError
from timellm.evaluation.comparisons import COMPARISONS, read_comparisons
from timellm.evaluation.coverage import COVERAGE, CoverageCard
from timellm.evaluation.intervals import NO_INTERVALS
from timellm.evaluation.judge import judge
from timellm.evaluation.own_quantiles import Predicted
from timellm.evaluation.scores import Scores
from timellm.evaluation.significance import Comparison
from timellm.evaluation.verdict import Verdict
from timellm.files.parquetfile import read_parquet, write_parquet
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.files.tensorfile import read_tensors
from timellm.forecasters.time_llm.kept import DICTIONARY, PROTOTYPES, WORDS
from timellm.forecasters.time_llm.kept_dictionary import KeptDictionary
from timellm.forecasters.time_llm.unlisted import NO_NAME, unlisted
from timellm.forecasting.bands import INTERVALS, Intervals, read_intervals
from timellm.forecasting.channel import RunForecasts
from timellm.forecasting.kept_forecasts import TEST_FORECASTS, ForecastWriter, read_forecasts, writing_forecasts
from timellm.forecasting.kept_quantiles import FUTURE_QUANTILES, writing_quantiles
from timellm.forecasting.known_files import KNOWN, KNOWN_COLUMNS, read_known, write_known
from timellm.forecasting.quick import QuickForecasters
from timellm.training.checkpoint import CONFIG, EFFECTS, load_config

SUMMARY = "summary.json"
T = TypeVar("T")


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
        write_parquet(self.path / "table.parquet", pa.Table.from_pandas(table.values))
        if table.known is not None:
            write_known(self.path, table.known)

    def table(self) -> Table:
        """The values that the run learned from."""
        values = self._read("table.parquet", _read_values, what="table")
        known = None
        if (self.path / KNOWN_COLUMNS).is_file():
            known = self._read(KNOWN, lambda path: read_known(path, values), what="table of columns known ahead")

        def table(facts: Any) -> Table:
            names = ("frequency", "time_column", "layout", "notes")
            frequency, time_column, layout, notes = (facts[name] for name in names)
            if not isinstance(notes, list):
                raise ValueError("its notes are no list")
            if not all(isinstance(text, str) for text in [frequency, time_column, layout, *notes]):
                raise ValueError("a fact about the table is no text")
            found = Table(values, frequency, time_column, layout, tuple(notes), known=known)
            if found.offset.n < 1:
                raise ValueError(f"'{found.frequency}' is no step between rows")
            return found

        return self._read_json("table.json", table, what="table")

    def save_scaler(self, scaler: Scaler) -> None:
        """Keep mean and scale by channel."""
        self._write_json("scaler.json", {"mean": scaler.mean.tolist(), "scale": scaler.scale.tolist()})

    def scaler(self) -> Scaler:
        """Mean and scale by channel, in the order of the table's channels."""

        def scaler(facts: Any) -> Scaler:
            mean, scale = (np.array(facts[name], np.float64) for name in ("mean", "scale"))
            if mean.ndim != 1 or mean.shape != scale.shape or not (scale > 0).all():
                raise ValueError("mean and scale are not a positive number for each channel")
            return Scaler(mean, scale)

        return self._read_json("scaler.json", scaler, what="scaler")

    def prepared(self) -> PreparedData:
        """The table as the network saw it."""
        return PreparedData.of(self.table(), self.config(), scaler=self.scaler(), effects=self.effects())

    def check_known(self) -> None:
        """Refuse a forecast beyond the data for which a column known ahead misses a value.

        Raises:
            DataError: names column, row and remedy.
        """
        prepared = self.prepared()
        if prepared.effects is not None or prepared.config.tells_known:
            check_known(prepared.table, ahead=prepared.horizon, channels=tuple(range(len(prepared.table.channels))))

    def save_effects(self, effects: KnownEffects) -> None:
        """Keep what columns known ahead add to the values."""
        self._write_json(EFFECTS, effects.to_dict())

    def effects(self) -> KnownEffects | None:
        """What columns known ahead add to the values; None where none are used."""
        if not (self.path / EFFECTS).is_file():
            return None
        return self._read_json(EFFECTS, KnownEffects.from_dict, what="effect of what is known ahead")

    def writing_test_forecasts(self, prepared: PreparedData) -> AbstractContextManager[ForecastWriter]:
        """A writer for the forecasts of the test windows, in original units; the file appears when the block ends."""
        return writing_forecasts(self.path / TEST_FORECASTS, prepared)

    def quick(self) -> QuickForecasters:
        """The quick forecasters that were fitted beside the run's own; none in a run of an earlier version."""
        return QuickForecasters.load(self.path, self.config())

    def run_forecasts(self) -> RunForecasts:
        """The run's own forecasts of the test windows, with the quick forecasters to forecast any of them."""
        prepared = self.prepared()
        index, forecast_WH = self.test_windows(prepared)
        return RunForecasts(prepared, index, forecast_WH, self.scores().own, self.quick(), self.intervals())

    def verdict(self, metric: str) -> Verdict:
        """What the scores of the run say by a metric."""
        return judge(self.scores(), metric, comparisons=self.comparisons(), adds_nothing=self.adds_nothing())

    def adds_nothing(self) -> bool:
        """Whether no step of training made the run's model better than the linear path from which it began."""
        return (self.path / SUMMARY).is_file() and self.summary().get("adds_nothing") is True

    def comparisons(self) -> tuple[Comparison, ...]:
        """The own model beside every other one; none in a run of an earlier version."""
        return read_comparisons(self.path / COMPARISONS)

    def test_windows(self, prepared: PreparedData) -> tuple[WindowIndex, np.ndarray]:
        """The test windows of a run with this table, and the run's own forecasts [W, H] of them."""
        return self._read(TEST_FORECASTS, lambda path: read_forecasts(path, prepared), what="test forecast")

    def save_scores(self, scores: Scores) -> None:
        """Keep the errors on the test part."""
        self._write_json("scores.json", scores.to_dict())

    def scores(self) -> Scores:
        """Errors on the test part."""
        return self._read_json("scores.json", Scores.from_dict, what="score")

    def save_future(self, forecast: pd.DataFrame) -> None:
        """Keep the forecast beyond the data."""
        write_parquet(self.path / "future.parquet", pa.Table.from_pandas(forecast, preserve_index=False))

    def save_future_quantiles(self, index: WindowIndex, said: Predicted, *, channels: tuple[str, ...]) -> None:
        """Keep the own quantiles beyond the data."""
        assert said.quantiles_WHQ is not None
        numbers = int(np.prod(said.quantiles_WHQ.shape[1:]))
        with writing_quantiles(self.path / FUTURE_QUANTILES, channels=channels, numbers=numbers) as writer:
            writer.write(index, said)

    def future(self, levels: tuple[int, ...] = ()) -> pd.DataFrame:
        """Forecast beyond the data: unique_id, ds, yhat; with `levels` also its bands, yhat-lo-80, yhat-hi-80 ...

        Bands are worked out when they are asked for, so that any level can be had, and none is kept twice.
        """
        most = None
        if all((self.path / name).is_file() for name in ("scaler.json", CONFIG)):  # else a run that came to nothing
            most = len(self.scaler().mean) * self.config().task.horizon
        forecast = self._read("future.parquet", lambda path: _read_future(path, most), what="forecast")
        return self.banded(forecast, levels) if levels else forecast

    def banded(self, forecast: pd.DataFrame, levels: tuple[int, ...]) -> pd.DataFrame:
        """A forecast beyond the run's own data with its bands.

        Raises:
            CheckpointError: the run keeps no intervals.
        """
        intervals = self.intervals()
        if intervals is None:
            raise CheckpointError(NO_INTERVALS)
        return intervals.beyond(self.prepared(), forecast, levels)

    def intervals(self) -> Intervals | None:
        """What bands are made of; None in a run of an earlier version."""
        if not (self.path / INTERVALS).is_file():
            return None
        return read_intervals(self.path / INTERVALS, horizon=self.config().task.horizon)

    def coverage(self) -> CoverageCard | None:
        """Promised and achieved coverage of the bands; None in a run of an earlier version."""
        return CoverageCard.read(self.path / COVERAGE)

    def prototypes(self) -> Tensor:
        """Prototypes [V, D]."""
        return self._read(PROTOTYPES, _read_prototypes, what="prototype dictionary")

    def words(self) -> list[list[str]]:
        """Words nearest to each prototype, nearest first; `NO_NAME` alone where none may be shown.

        Earlier versions also kept words that are not listed today; they are left out.
        """
        return self._read_json(WORDS, _words, what="prototype dictionary")

    def dictionary(self) -> KeptDictionary | None:
        """How near the words are, and where the prototypes began; None in a run of an earlier version."""
        if not (self.path / DICTIONARY).is_file():
            return None
        count = len(self.words())
        return self._read_json(
            DICTIONARY, lambda tree: KeptDictionary.from_json(tree, count=count), what="prototype dictionary"
        )

    def save_summary(self, summary: dict[str, Any]) -> None:
        """Keep the outcome in a few numbers."""
        self._write_json(SUMMARY, summary)

    def summary(self) -> dict[str, Any]:
        """The outcome in a few numbers."""
        return self._read_json(SUMMARY, dict, what="summary")

    def _write_json(self, name: str, content: Any) -> None:
        write_sealed_json(self.path / name, content)

    def _read_json(self, name: str, make: Callable[[Any], T], *, what: str) -> T:
        return self._read(name, lambda path: make(read_sealed_json(path)), what=what)

    def _read(self, name: str, read: Callable[[Path], T], *, what: str) -> T:
        path = self.path / name
        if not path.is_file():
            raise CheckpointError(f"the run in {self.path.name} has no {what} yet; let it finish, or start it again")
        try:
            return read(path)
        except OSError as error:
            if error.errno is None:  # Arrow has no other error for a file that it cannot understand
                raise _damaged(path, error) from error
            raise CheckpointError(f"{path} cannot be read ({error.strerror}); let this user read it") from error
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, pa.ArrowException) as error:
            raise _damaged(path, error) from error


def _read_prototypes(path: Path) -> Tensor:
    return read_tensors(path, remedy="start the run again")[0]["prototypes"]


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path} is damaged ({' '.join(str(error).split())[:300]}); start the run again")


def _read_values(path: Path) -> pd.DataFrame:
    rows = read_parquet(path)
    *channels, moments = rows.schema  # pandas puts the index last
    if not channels or not all(pa.types.is_float64(one.type) for one in channels):
        raise ValueError("its channels are not numbers")
    if not pa.types.is_timestamp(moments.type) or moments.type.tz is not None:
        raise ValueError("its last column is not the rows' moments")
    found = rows.drop_columns(moments.name).to_pandas(ignore_metadata=True)
    return found.set_axis(pd.DatetimeIndex(rows[moments.name].to_pandas(), name=moments.name))


def _read_future(path: Path, most_rows: int | None) -> pd.DataFrame:
    rows = read_parquet(path, most_rows=most_rows)
    if rows.column_names != ["unique_id", "ds", "yhat"]:
        raise ValueError("its columns are not unique_id, ds and yhat")
    found = rows.to_pandas(ignore_metadata=True)
    if len(found) and not (isinstance(found["ds"].dtype, np.dtype) and found["ds"].dtype.kind == "M"):
        raise ValueError("its moments are not timestamps")
    return found.astype({"yhat": "float64"})


def _words(found: Any) -> list[list[str]]:
    if not isinstance(found, list) or not all(isinstance(one, list) for one in found):
        raise TypeError("it is no list of words for each prototype")
    if not all(isinstance(word, str) for one in found for word in one):
        raise TypeError("a word of it is no text")
    return [[word for word in one if not unlisted(word)] or [NO_NAME] for one in found]
