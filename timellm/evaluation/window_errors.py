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

from timellm.errors import CheckpointError, ConfigError, one_line
from timellm.evaluation.accumulator import ForecastBatch, WindowSums
from timellm.evaluation.metrics import DIVIDED, METRICS
from timellm.evaluation.windows import Reference, ScoredWindows
from timellm.files.parquetfile import read_parquet, writing_parquet

WINDOW_ERRORS = "window_errors.parquet"
_FACTS = "timellm.scored"
_SUMS = ("absolute", "squared", "percentage", "squared_percentage", "symmetric", "error", "size")
_COUNTS = ("points", "percentage_points", "symmetric_points")
_COUNT_OF = {
    "percentage": "percentage_points", "squared_percentage": "percentage_points", "symmetric": "symmetric_points",
}  # fmt: skip
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
    """[W] what it is divided by: the points in it, or for a ratio of sums, such as WAPE, the other sum."""
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
        "naive_squared_error": _finite(reference.naive_squared_error),
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

    A metric that the version which wrote the file did not measure is undefined in every window.

    Raises:
        ConfigError: there is no such metric, or windows are not scored by it.
        CheckpointError: the file is missing or damaged.
    """
    if metric not in METRICS:
        raise ConfigError(f"there is no metric '{metric}'; choose one of {', '.join(METRICS)}")
    if not METRICS[metric].by_window:
        raise ConfigError(f"{METRICS[metric].short} is not kept by window; choose another metric")
    if not path.is_file():
        raise CheckpointError(f"the run in {path.parent.name} has no errors by window; evaluate it again")
    try:
        written = pq.read_schema(path).names
        wanted = dict.fromkeys(["model", "unique_id", "origin", "known", "points", *_parts(metric)[:2]])
        rows = read_parquet(path, columns=[name for name in wanted if name in written or name not in _SUMS])
        facts = json.loads(rows.schema.metadata[_FACTS.encode()])
        scored = ScoredWindows.from_dict(facts["scored"])
        names = rows["model"].unique().to_pylist()
        models = {name: _errors(rows.filter(pc.equal(rows["model"], name)), name, metric, facts) for name in names}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({one_line(error)}); evaluate the run again") from error
    except (ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
        raise CheckpointError(f"{path} is damaged ({one_line(error)}); evaluate the run again") from error
    return WindowErrors(metric, scored, models)


def _parts(metric: str) -> tuple[str, str, str | None]:
    """The column of a metric's sums, the one that these are divided by, and the yardstick of the channel, if any."""
    term, over = METRICS[metric].term, METRICS[metric].over
    column, divided_by = DIVIDED.get(term, (term, None))
    return column, over or _COUNT_OF.get(term, "points"), divided_by


def _divisor(facts: dict[str, Any], name: str) -> np.ndarray:
    """The yardstick of every channel, [N]: z-scores and MASE are sums of other terms over it, and need no columns."""
    unknown = [None] * len(facts["channels"])
    numbers = {
        name: np.array(facts.get(name, unknown), np.float64)  # None becomes NaN
        for name in ("scale", "naive_error", "naive_squared_error")
    }
    return Reference(tuple(facts["channels"]), **numbers).divisor(name)


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
    column, counted, divided_by = _parts(metric)
    points = rows["points"].to_numpy().astype(np.int64)
    if {column, counted} <= set(rows.column_names):
        total, count = (rows[name].to_numpy().astype(np.float64) for name in (column, counted))
    else:  # the version that wrote the file did not measure it
        total, count = np.zeros(len(points)), np.zeros(len(points))
    if divided_by is not None:
        divisor = _divisor(facts, divided_by)[channel]
        defined = ~np.isnan(divisor)
        total, count = np.where(defined, total / np.where(defined, divisor, 1.0), 0.0), np.where(defined, count, 0)
    whole = points == rows["known"].to_numpy()
    return ModelErrors(model, place, scored.span, total, count, whole, points).at(order)


def _finite(numbers: np.ndarray) -> list[float | None]:
    return [float(number) if np.isfinite(number) else None for number in numbers]
