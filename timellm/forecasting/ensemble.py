"""An ensemble: the mean or the median of the forecasts of finished runs, as a run of its own.

Inputs: the folders of runs that were scored on the same windows. Outputs: a forecaster. It takes over the members'
stored forecasts of the test windows and beyond the data, and keeps them with its run: so it is a row of a leaderboard,
a forecast and an export, also after a member was deleted. Any other window, such as one of a newer table, is forecast
by the members themselves, as long as they are there.

It lies above the kinds of forecasters, because it is made of whole runs; the registry names it all the same.

Shapes: W windows, M members, H horizon.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from timellm.config import EnsembleConfig, RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.verdict import listed
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.forecasters.protocol import FitJob, FitReport, Forecaster, OnBatch, ignore_batch, settings_of
from timellm.forecasters.saved import reading
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.training.progress import Progress

ENSEMBLE = "ensemble.json"
FEWEST, MOST = 2, 8
_HOW: dict[str, tuple[str, Callable[..., np.ndarray]]] = {"mean": ("Mean", np.mean), "median": ("Median", np.median)}


@dataclass(frozen=True)
class Member:
    """One of the runs."""

    folder: Path
    model: str
    """As leaderboards call its own model."""


@dataclass(frozen=True)
class KeptForecasts:
    """Combined forecasts of the windows of one table."""

    prepared: PreparedData
    place: np.ndarray
    """[W] channel and origin in one number, ascending."""
    forecast_WH: np.ndarray

    @classmethod
    def of(cls, prepared: PreparedData, index: WindowIndex, forecast_WH: np.ndarray) -> Self:
        """Keep the forecasts of these windows of the table."""
        place = _places(prepared, index)
        order = np.argsort(place)
        return cls(prepared, place[order], forecast_WH[order])

    def find(self, prepared: PreparedData, index: WindowIndex) -> tuple[np.ndarray, np.ndarray]:
        """Which windows are kept [W], and the rows of their forecasts; none of another table."""
        same = _same_table(self.prepared, prepared) and _same_known(self.prepared, prepared)
        if not len(self.place) or not same:
            return np.zeros(len(index), bool), np.zeros(len(index), np.int64)
        wanted = _places(prepared, index)
        rows = np.minimum(np.searchsorted(self.place, wanted), len(self.place) - 1)
        return self.place[rows] == wanted, rows


@dataclass(frozen=True)
class Ensemble:
    """The mean or the median of several runs' forecasts."""

    how: str
    members: tuple[Member, ...]
    kept: KeptForecasts
    past_rows: int
    """Most rows before an origin that one of the members reads; 0 if never more than the context."""

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        return f"{_HOW[self.how][0]} of {listed([member.model for member in self.members])}"

    @property
    def reads_time(self) -> bool:
        """Perhaps: a member may."""
        return True

    @property
    def tied_to_table(self) -> str:
        """It is made of the forecasts of one table's runs."""
        return "its members were fitted on that table; score them one by one"

    def rows(self) -> dict[str, Forecaster]:
        """Itself."""
        return {self.name: self}

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob) -> tuple[Self | None, FitReport]:
        """Combine the stored forecasts of the members.

        Raises:
            ConfigError: there are too few or too many members, or one forecast other windows or another table.
            CheckpointError: a member is no finished run, or is damaged.
        """
        started, settings = time.monotonic(), settings_of(job.config, EnsembleConfig)
        folders = [Path(one) for one in settings.members]
        check_members(folders)
        if job.should_stop():
            return None, FitReport(0.0, stopped=True)
        found, members, past_rows = [], [], 0
        for number, folder in enumerate(folders, start=1):
            job.on_progress(
                Progress("loading", number, len(folders), message=f"Reading the forecasts of {folder.name}")
            )
            run = RunFolder(folder)
            found.append(_stored(run, prepared))
            members.append(Member(folder, run.scores().own))
            past_rows = max(past_rows, FittedRun.load(folder).forecaster.past_rows)
        index = found[0][0]
        forecast_WH = _combined(settings.combine, [forecast for _, forecast in found])
        fitted = cls(settings.combine, tuple(members), KeptForecasts.of(prepared, index, forecast_WH), past_rows)
        fitted.save(job.folder)
        facts = {"members": [{"run": one.folder.name, "model": one.model} for one in members], "how": settings.combine}
        return fitted, FitReport(time.monotonic() - started, facts=facts)

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, float64 in original units.

        Those of the run's own test windows are kept; others are combined from the members' forecasts of them. NaN where
        a member has none.

        Raises:
            CheckpointError: a member is gone, and its forecast is needed.
        """
        known_W, rows = self.kept.find(prepared, index)
        forecast_WH = np.empty((len(index), prepared.horizon))
        forecast_WH[known_W] = self.kept.forecast_WH[rows[known_W]]
        if not known_W.all():
            others = np.flatnonzero(~known_W)
            asked = WindowIndex(index.channel[others], index.origin[others], 0)
            forecast_WH[others] = _combined(self.how, [one.of(prepared, asked) for one in self._fitted])
        on_batch(len(index))
        return forecast_WH

    def save(self, folder: Path) -> None:
        """Write ensemble.json; the combined forecasts lie with those of every run."""
        members = [{"folder": str(one.folder), "model": one.model} for one in self.members]
        write_sealed_json(folder / ENSEMBLE, {"how": self.how, "members": members, "past_rows": self.past_rows})

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Read ensemble.json and the kept forecasts.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        path = folder / ENSEMBLE
        with reading(path):
            tree = read_sealed_json(path)
            if tree["how"] not in _HOW:
                raise ValueError(f"'{tree['how']}' is no way to combine forecasts")
            members = tuple(Member(Path(one["folder"]), str(one["model"])) for one in tree["members"])
            how, past_rows = str(tree["how"]), int(tree["past_rows"])
        run = RunFolder(folder)
        prepared = run.prepared()
        index, forecast_WH = _with_future(run, prepared)
        return cls(how, members, KeptForecasts.of(prepared, index, forecast_WH), past_rows)

    @cached_property
    def _fitted(self) -> tuple[_FittedMember, ...]:
        return tuple(_FittedMember.load(member) for member in self.members)


@dataclass(frozen=True)
class _FittedMember:
    """A member that can forecast."""

    run: FittedRun

    @classmethod
    def load(cls, member: Member) -> Self:
        if not member.folder.is_dir():
            raise CheckpointError(
                f"the ensemble's member '{member.model}' in {member.folder} is gone; its test forecasts and its"
                " forecast beyond the data are kept, and nothing else can be forecast without it"
            )
        return cls(FittedRun.load(member.folder))

    def of(self, prepared: PreparedData, index: WindowIndex) -> np.ndarray:
        """Its forecasts [W, H] of windows of the ensemble's own table, or of a newer one."""
        own = self.run.prepared
        same = _same_table(own, prepared) and (own.table.known is None or _same_known(own, prepared))
        mine = own if same else own.continued(prepared.table)
        return self.run.forecaster.predict(mine, index)


def check_members(folders: Sequence[Path]) -> None:
    """Refuse a list of run folders that can be no ensemble's.

    Raises:
        ConfigError: there are too few or too many, or one is named twice.
    """
    if not FEWEST <= len(folders) <= MOST:
        raise ConfigError(f"an ensemble has {FEWEST} to {MOST} members; {len(folders)} given")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError("an ensemble has every member once; leave out what is named twice")


def ensemble_config(folders: Sequence[Path], *, how: str = "mean") -> RunConfig:
    """The configuration of the ensemble of these finished runs.

    Raises:
        ConfigError: there are too few or too many of them, or they were scored on different windows.
        CheckpointError: one is no finished run, or is damaged.
    """
    folders = [folder.resolve() for folder in folders]
    check_members(folders)
    runs = [RunFolder(folder) for folder in folders]
    sets = {run.scores().scored.window_set for run in runs}
    if len(sets) > 1 or "" in sets:
        raise ConfigError(
            "these runs were not scored on the same windows, so their forecasts cannot be combined; train them on the"
            " same table, horizon and split"
        )
    # Its windows are those of all members: the one with the longest context has no more of them than the others.
    longest = max((run.config() for run in runs), key=lambda config: config.task.context)
    # Members can be combined where their forecasts begin together.
    return longest.updated(kind="ensemble", members=tuple(map(str, folders)), combine=how, forecast_from="table_end")


def _stored(run: RunFolder, prepared: PreparedData) -> tuple[WindowIndex, np.ndarray]:
    """A member's stored forecasts of this table's test windows and beyond its end, in order of place."""
    theirs = run.prepared()
    if not _same_table(theirs, prepared):
        raise ConfigError(f"the run in {run.path.name} was trained on another table; train it on this one")
    index, forecast_WH = _with_future(run, theirs)
    order = np.argsort(_places(prepared, index))
    index = WindowIndex(index.channel[order], index.origin[order], 0)
    test = index.origin < len(prepared.values)
    wanted = np.sort(_places(prepared, prepared.windows("test")))
    if not np.array_equal(_places(prepared, index)[test], wanted):
        raise ConfigError(f"the run in {run.path.name} forecast other test windows; give it the same horizon and split")
    return _complete(prepared, index, forecast_WH[order])


def _with_future(run: RunFolder, prepared: PreparedData) -> tuple[WindowIndex, np.ndarray]:
    """A run's forecasts of its test windows, and of the window after the table's end for each channel that has one."""
    index, forecast_WH = run.test_windows(prepared)
    future = run.future()
    future = future[future["ds"] > prepared.table.values.index[-1]]  # a series that ended earlier has fewer of them
    ahead = [(name, rows["yhat"].to_numpy(np.float64)) for name, rows in future.groupby("unique_id", sort=False)]
    ahead = [(name, values) for name, values in ahead if len(values) == prepared.horizon]
    if not ahead:
        return index, forecast_WH
    channel = np.array([prepared.table.channels.index(str(name)) for name, _ in ahead], np.int64)
    origin = np.full(len(ahead), len(prepared.values), np.int64)
    whole = WindowIndex(np.concatenate([index.channel, channel]), np.concatenate([index.origin, origin]), 0)
    return whole, np.concatenate([forecast_WH, np.stack([values for _, values in ahead])])


def _complete(prepared: PreparedData, index: WindowIndex, forecast_WH: np.ndarray) -> tuple[WindowIndex, np.ndarray]:
    """With a row beyond the data for every channel, NaN where there is no forecast: members may lack different ones."""
    channels, end = len(prepared.table.channels), len(prepared.values)
    test = index.origin < end
    ahead_NH = np.full((channels, prepared.horizon), np.nan)
    ahead_NH[index.channel[~test]] = forecast_WH[~test]
    channel = np.concatenate([index.channel[test], np.arange(channels)])
    origin = np.concatenate([index.origin[test], np.full(channels, end)])
    return WindowIndex(channel, origin, 0), np.concatenate([forecast_WH[test], ahead_NH])


def _combined(how: str, forecasts: list[np.ndarray]) -> np.ndarray:
    """[W, H] from M of them; NaN where one is."""
    return _HOW[how][1](np.stack(forecasts), axis=0)


def _places(prepared: PreparedData, index: WindowIndex) -> np.ndarray:
    return index.channel * (len(prepared.values) + 1) + index.origin


def _same_table(one: PreparedData, other: PreparedData) -> bool:
    mine, theirs = one.table, other.table
    if mine is theirs:
        return True
    return (
        mine.channels == theirs.channels
        and mine.values.index.equals(theirs.values.index)
        and np.array_equal(mine.values.to_numpy(), theirs.values.to_numpy(), equal_nan=True)
    )


def _same_known(one: PreparedData, other: PreparedData) -> bool:
    """Whether two tables say the same of what is known ahead."""
    mine, theirs = one.table.known, other.table.known
    if mine is None or theirs is None:
        return mine is theirs
    return (
        mine.names == theirs.names
        and mine.categories == theirs.categories
        and mine.index.equals(theirs.index)
        and np.array_equal(mine.values_SNK, theirs.values_SNK, equal_nan=True)
    )
