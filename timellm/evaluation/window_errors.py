"""The errors of every model in every window, in a file from which any two models can be compared.

Inputs: the sums that `ScoreAccumulator.add` returns, batch by batch. Outputs: `window_errors.parquet`, written row
group by row group, and `WindowErrors`, the columns of it that one metric needs. Two models may be of two runs, if the
window sets are equal.

window_errors.parquet  one row a model and window that it covers: model, unique_id, origin, known (points with an actual
                       value), and for each term its sum and the number of points in it; the schema's metadata says
                       which windows they are, and what each channel is measured against

Shapes: W windows, N channels.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.accumulator import ForecastBatch, WindowSums
from timellm.evaluation.metrics import METRICS
from timellm.evaluation.windows import Reference, ScoredWindows
from timellm.files.parquetfile import read_parquet, writing_parquet

WINDOW_ERRORS = "window_errors.parquet"
_FACTS = "timellm.scored"
_SUMS = ("absolute", "squared", "percentage", "squared_percentage", "symmetric")
_COUNTS = ("points", "percentage_points", "symmetric_points")
# Term -> the sum it comes from, the number of points in it, what to divide by: z-scores and MASE are sums of the other
# terms over what each channel is measured against, and need no columns.
_COLUMNS = {
    "absolute": ("absolute", "points", None),
    "squared": ("squared", "points", None),
    "percentage": ("percentage", "percentage_points", None),
    "squared_percentage": ("squared_percentage", "percentage_points", None),
    "symmetric": ("symmetric", "symmetric_points", None),
    "by_naive": ("absolute", "points", "naive_error"),
    "squared_scaled": ("squared", "points", "scale"),
    "absolute_scaled": ("absolute", "points", "scale"),
}
_COUNTED = {"points": "absolute", "percentage_points": "percentage", "symmetric_points": "symmetric"}


@dataclass(frozen=True)
class ModelErrors:
    """One model's errors by one metric in the windows that it covers, in ascending order of `place`."""

    model: str
    place: np.ndarray
    """[W] channel and origin in one number: channel * `span` + rows after the first origin."""
    span: int
    total: np.ndarray
    """[W] sum of the metric's term."""
    count: np.ndarray
    """[W] points in it."""
    whole: np.ndarray
    """[W] whether the model has a forecast of every point with an actual value."""
    points: np.ndarray
    """[W] points that the model is scored on."""

    def at(self, rows: np.ndarray) -> ModelErrors:
        """Some of the windows."""
        arrays = (self.total, self.count, self.whole, self.points)
        return ModelErrors(self.model, self.place[rows], self.span, *(one[rows] for one in arrays))


@dataclass(frozen=True)
class WindowErrors:
    """The errors of every model of one file, by one metric."""

    metric: str
    scored: ScoredWindows
    models: dict[str, ModelErrors]

    def of(self, model: str) -> ModelErrors:
        """Those of one model.

        Raises:
            ConfigError: there are none.
        """
        if model not in self.models:
            raise ConfigError(f"there are no errors of '{model}' by window; there are: {', '.join(self.models)}")
        return self.models[model]


class WindowErrorWriter:
    """Writes what `ScoreAccumulator.add` returns."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema, channels: tuple[str, ...]) -> None:
        self._writer, self._schema, self._channels = writer, schema, pa.array(channels, pa.string())

    def write(self, batch: ForecastBatch, sums: dict[str, WindowSums]) -> None:
        """Write the errors of one batch; a window that a model does not cover at all gets no row.

        Raises:
            OSError: the disk is full.
        """
        tables = [table for name, one in sums.items() if len(table := self._table(batch, name, one))]
        if tables:
            self._writer.write_table(pa.concat_tables(tables).unify_dictionaries())

    def _table(self, batch: ForecastBatch, name: str, sums: WindowSums) -> pa.Table:
        covered = np.flatnonzero(sums.counts["absolute"])
        unique_id = pa.DictionaryArray.from_arrays(pa.array(batch.channel[covered], pa.int32()), self._channels)
        model = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(covered)), pa.int32()), pa.array([name]))
        numbers = [pa.array(batch.origin[covered], pa.int64()), pa.array(sums.known[covered], pa.int32())]
        numbers += [pa.array(sums.counts[_COUNTED[one]][covered], pa.int32()) for one in _COUNTS]
        with np.errstate(over="ignore"):  # a sum that is too large for float32 is infinite, and the comparison says so
            numbers += [pa.array(sums.sums[one][covered].astype(np.float32)) for one in _SUMS]
        return pa.Table.from_arrays([model, unique_id, *numbers], schema=self._schema)


@contextlib.contextmanager
def writing_window_errors(path: Path, *, reference: Reference, scored: ScoredWindows) -> Iterator[WindowErrorWriter]:
    """A writer for the errors of the windows `scored`; the file appears when the block ends without an exception.

    Raises:
        OSError: the file cannot be written; the one before stays.
    """
    texts = pa.dictionary(pa.int32(), pa.string())
    fields = [("model", texts), ("unique_id", texts), ("origin", pa.int64()), ("known", pa.int32())]
    fields += [(name, pa.int32()) for name in _COUNTS] + [(name, pa.float32()) for name in _SUMS]
    facts = {
        "scored": scored.to_dict(),
        "channels": list(reference.channels),
        "scale": _finite(reference.scale),
        "naive_error": _finite(reference.naive_error),
    }
    schema = pa.schema(fields, {_FACTS: json.dumps(facts, allow_nan=False)})
    # Sums hardly repeat, and where they do (no error at all) the file must not shrink to nothing.
    layout = {
        "use_dictionary": ["model", "unique_id", "known", *_COUNTS],
        "compression": {name: "none" if name in _SUMS else "snappy" for name, _ in fields},
    }
    with writing_parquet(path, schema, **layout) as writer:
        yield WindowErrorWriter(writer, schema, reference.channels)


def read_window_errors(path: Path, metric: str) -> WindowErrors:
    """The errors of every model in a file by one metric; reads the columns alone that the metric needs.

    Raises:
        ConfigError: there is no such metric.
        CheckpointError: the file is missing or damaged.
    """
    if metric not in METRICS:
        raise ConfigError(f"there is no metric '{metric}'; choose one of {', '.join(METRICS)}")
    if not path.is_file():
        raise CheckpointError(f"the run in {path.parent.name} has no errors by window; evaluate it again")
    total, count, _ = _COLUMNS[METRICS[metric].term]
    columns = list(dict.fromkeys(["model", "unique_id", "origin", "known", "points", total, count]))
    try:
        rows = read_parquet(path, columns=columns)
        facts = json.loads(rows.schema.metadata[_FACTS.encode()])
        scored = ScoredWindows.from_dict(facts["scored"])
        names = rows["model"].unique().to_pylist()
        models = {name: _errors(rows.filter(pc.equal(rows["model"], name)), name, metric, facts) for name in names}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); evaluate the run again") from error
    except (ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
        raise CheckpointError(f"{path} is damaged ({error}); evaluate the run again") from error
    return WindowErrors(metric, scored, models)


def _errors(rows: pa.Table, model: str, metric: str, facts: dict[str, Any]) -> ModelErrors:
    scored = ScoredWindows.from_dict(facts["scored"])
    named = pc.index_in(rows["unique_id"], value_set=pa.array(facts["channels"], pa.string()))
    if named.null_count:
        raise ValueError("a window is of a channel that is not listed")
    channel = named.to_numpy().astype(np.int64)
    place = channel * scored.span + rows["origin"].to_numpy() - scored.first_origin
    order = np.argsort(place)
    if (np.diff(place[order]) == 0).any():
        raise ValueError("a window is named twice")
    column, counted, reference = _COLUMNS[METRICS[metric].term]
    total, count = rows[column].to_numpy().astype(np.float64), rows[counted].to_numpy().astype(np.int64)
    points = rows["points"].to_numpy().astype(np.int64)
    if reference is not None:
        divisor = np.array(facts[reference], np.float64)[channel]  # None becomes NaN
        defined = divisor > 0
        divisor = np.where(defined, divisor, 1.0) ** (2 if column == "squared" else 1)
        total, count = np.where(defined, total / divisor, 0.0), np.where(defined, count, 0)
    whole = points == rows["known"].to_numpy()
    return ModelErrors(model, place, scored.span, total, count, whole, points).at(order)


def _finite(numbers: np.ndarray) -> list[float | None]:
    return [float(number) if np.isfinite(number) else None for number in numbers]
