"""Keep a forecast with everything that is needed to judge it later, when the run may be gone.

Inputs: a finished run's folder, and its forecast beyond its own table or a newer one. Outputs: an entry of the ledger.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from timellm import __version__
from timellm.data.gaps import Past
from timellm.data.season import season_length
from timellm.data.seasonality import season_title
from timellm.data.table import Table
from timellm.errors import CheckpointError, LedgerError
from timellm.evaluation.intervals import DEFAULT_LEVELS
from timellm.evaluation.scores import Scores
from timellm.evaluation.windows import Reference
from timellm.forecasters.naive import NAIVE as NAIVE_FILE
from timellm.forecasters.naive import Naive
from timellm.forecasters.registry import REGISTRY
from timellm.forecasters.simple_rules import Rule, Windows
from timellm.forecasting.artifacts import RunFolder
from timellm.ledger.actuals import to_arrow
from timellm.ledger.entry import Entry, KeptRun, new_id, said
from timellm.ledger.folder import CONTEXT, FORECAST, FUTURE, PROMISE, Ledger, file_sha256
from timellm.ledger.promise import Promise
from timellm.training.checkpoint import EFFECTS

_WEIGHTS = ("linear_path.safetensors", "prototypes.safetensors", EFFECTS)
NAIVE = "seasonal_naive"


@dataclass(frozen=True)
class Kept:
    """An entry, and whether it is new."""

    entry: Entry
    new: bool
    """False: the same forecast was kept before, and this is that entry."""


@dataclass(frozen=True)
class Newer:
    """A forecast beyond another table than the run's own."""

    table: Table
    forecast: pd.DataFrame
    source: str
    """The file."""


def keep(run_dir: str | Path, *, by: str, note: str = "", run_name: str = "", newer: Newer | None = None) -> Kept:
    """Keep a run's forecast beyond its own table, or that beyond a newer one.

    Raises:
        LedgerError: the run has no forecast, nobody is named, or the ledger cannot be written.
        CheckpointError: the run's folder is incomplete or damaged.
    """
    folder, ledger = RunFolder(Path(run_dir).resolve()), Ledger.open()
    by, note = said(by, what="the name of the person who keeps it"), said(note, what="the note", needed=False)
    config, prepared, scores = folder.config(), folder.prepared(), _scores(folder)
    if newer is None:
        levels = DEFAULT_LEVELS if folder.intervals() is not None else ()
        newer = Newer(prepared.table, folder.future(levels), config.data.path)
    table, frame, source = newer.table, newer.forecast, newer.source
    if frame.empty:
        raise LedgerError(
            f"the run in {folder.path.name} has no forecast beyond its table, because values are missing at its end;"
            " forecast from a table that is complete there"
        )
    if (frame.groupby("unique_id")["ds"].min() <= table.values.index[-1]).any():
        raise LedgerError(
            f"forecasts of the run in {folder.path.name} begin at different times, each after the last value of its"
            " series (forecast_from=series_end), and a kept forecast has one beginning; export them as a file instead,"
            " or set forecast_from=table_end"
        )
    channels = tuple(frame["unique_id"].unique())
    for old in map(_known(ledger), ledger.ids()):
        if old is not None and _same(ledger, old, folder.path.name, frame):
            return Kept(old, new=False)
    season = _season(folder, table.frequency)
    kept = _with_naive(frame, table, season, missing=config.missing)
    rows = max(config.task.context, season)
    files = {
        FORECAST: _forecast_rows(kept),
        CONTEXT: to_arrow(_long(table.values[list(channels)].iloc[-rows:])),
    }
    if table.known is not None:
        files[FUTURE] = _known_rows(table, channels, rows, config.task.horizon)
    if scores is not None:
        files[PROMISE] = _promise(folder, channels).to_arrow()
    reference = Reference.of(prepared, season=season_length(table.frequency))
    errors = dict(zip(reference.channels, map(float, reference.naive_error), strict=True))
    settings = config.to_json()
    run = KeptRun(
        id=folder.path.name,
        folder=str(folder.path),
        name=run_name or folder.path.name,
        model=scores.own if scores else REGISTRY[config.kind].title,
        settings=settings,
        settings_sha256=hashlib.sha256(settings.encode()).hexdigest(),
        weights_sha256=_weights(folder.path, REGISTRY[config.kind].file),
    )

    def entry(digests: Any) -> Entry:
        return Entry(
            id=new_id(),
            made=datetime.now(UTC),
            by=by,
            note=note,
            run=run,
            cutoff=table.values.index[-1],
            end=kept["ds"].max(),
            frequency=table.frequency,
            horizon=config.task.horizon,
            season=season,
            season_name=season_title(season, table.frequency),
            channels=channels,
            source=str(source),
            table_sha256=table_sha256(table.values),
            naive_errors={name: errors[name] if np.isfinite(errors[name]) else None for name in channels},
            files_sha256=digests,
            kept_with={
                "timellm": __version__,
                **{name: version(name) for name in ("torch", "numpy", "pandas")},
            },
        )

    return Kept(ledger.add(entry, files), new=True)


def table_sha256(values: pd.DataFrame) -> str:
    """Digest of a table's moments, channels and values."""
    digest = hashlib.sha256(repr(list(values.columns)).encode())
    digest.update(values.index.to_numpy().astype("datetime64[us]").astype("<i8").tobytes())
    numbers = values.to_numpy(np.float64)
    digest.update(np.where(np.isnan(numbers), np.nan, numbers + 0.0).astype("<f8").tobytes())  # one NaN, and no -0
    return digest.hexdigest()


def _season(folder: RunFolder, frequency: str) -> int:
    """The season of the seasonal naive that did best in the run's validation, or else of the frequency."""
    if (folder.path / NAIVE_FILE).is_file():
        tried = Naive.load(folder.path, folder.config().updated(kind="naive")).candidates
        seasonal = [one for one in tried if one.rule.method == "seasonal"]
        if seasonal:
            return min(seasonal, key=lambda one: one.validation_loss).rule.rows
    return season_length(frequency)


def _scores(folder: RunFolder) -> Scores | None:
    """The run's scores; None where the scoring was stopped."""
    return folder.scores() if (folder.path / "scores.json").is_file() else None


def _known(ledger: Ledger) -> Any:
    def entry(entry_id: str) -> Entry | None:
        try:
            return ledger.entry(entry_id)
        except LedgerError:  # its row in the list says so; it hinders no other forecast
            return None

    return entry


def _same(ledger: Ledger, entry: Entry, run_id: str, frame: pd.DataFrame) -> bool:
    if entry.run.id != run_id or entry.end != frame["ds"].max():
        return False
    try:
        old = ledger.forecast(entry)
    except LedgerError:
        return False
    columns = [name for name in frame.columns if name in old.columns]
    return (
        len(columns) == len(frame.columns)
        and len(old) == len(frame)
        and all(
            np.array_equal(old[name].to_numpy(), frame[name].to_numpy(), equal_nan=name.startswith("yhat"))
            for name in columns
        )
    )


def _with_naive(frame: pd.DataFrame, table: Table, season: int, *, missing: Any) -> pd.DataFrame:
    """The forecast with the seasonal naive beside it, made from the same table at the same moment."""
    past = Past.of(table.values.to_numpy(np.float64), missing)
    place, channels = pd.factorize(frame["unique_id"])
    step = frame.groupby("unique_id").cumcount().to_numpy()
    numbers = np.array([table.channels.index(name) for name in channels], np.int64)
    origins = np.full(len(numbers), len(table.values), np.int64)
    naive_NH = Rule("seasonal", season).forecast(Windows(past, numbers, origins, int(step.max()) + 1))
    return frame.assign(**{NAIVE: naive_NH[place, step]})


def _forecast_rows(frame: pd.DataFrame) -> pa.Table:
    numbers = [name for name in frame.columns if name.startswith("yhat")]
    columns: dict[str, Any] = {
        "unique_id": pa.array(frame["unique_id"], pa.string()),
        "ds": pa.array(frame["ds"].to_numpy().astype("datetime64[us]"), pa.timestamp("us")),
    }
    columns |= {name: pa.array(frame[name].to_numpy(np.float64)) for name in [*numbers, NAIVE]}
    return pa.table(columns)


def _long(values: pd.DataFrame) -> pd.DataFrame:
    wide = values.rename_axis(index="ds").reset_index()
    return wide.melt("ds", var_name="unique_id", value_name="y")


def _known_rows(table: Table, channels: tuple[str, ...], rows: int, horizon: int) -> pa.Table:
    """Columns known ahead as they were then, over the context and the horizon: unique_id, ds, and a column each."""
    assert table.known is not None
    moments = table.values.index[-rows:].append(table.future_index(horizon))
    parts = []
    for name in channels:
        part = table.known.frame(moments, channel=table.channels.index(name))
        parts.append(part.assign(unique_id=name).rename_axis("ds").reset_index())
    frame = pd.concat(parts, ignore_index=True)
    texts = {name: frame[name].astype(object) for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)}
    return pa.Table.from_pandas(frame.assign(**texts), preserve_index=False)


def _promise(folder: RunFolder, channels: tuple[str, ...]) -> Promise:
    prepared = folder.prepared()
    index, forecast_WH = folder.test_windows(prepared)
    numbers = {prepared.table.channels.index(name): place for place, name in enumerate(channels)}
    mine = np.isin(index.channel, list(numbers))
    channel, origin = index.channel[mine], index.origin[mine]
    steps = origin[:, None] + np.arange(prepared.horizon)
    error_VH = np.abs(forecast_WH[mine] - prepared.table.values.to_numpy(np.float64)[steps, channel[:, None]])
    places = np.array([numbers[number] for number in channel], np.int64)
    return Promise.of(channels, channel_V=places, origin_V=origin, error_VH=error_VH)


def _weights(folder: Path, own: str) -> dict[str, str]:
    """Digests of the files that hold what the run learned.

    Raises:
        CheckpointError: its own is missing.
    """
    if not (folder / own).is_file():
        raise CheckpointError(f"{folder} holds no {own}, so its forecast cannot be traced to a model; train it again")
    return {name: file_sha256(folder / name) for name in (own, *_WEIGHTS) if (folder / name).is_file()}
