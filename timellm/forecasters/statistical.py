"""AutoETS and AutoTheta of the package `statsforecast`: each window has a model of its own, fitted on its context.

Inputs: contexts in original units. Outputs: mean forecasts. Nothing is shared between windows, so that there is nothing
to fit beforehand but a plan: the season, how many of the last rows are fitted, and which test windows are forecast. The
plan keeps to a budget of processor time, by what fits on validation windows take; the rest of the test windows is NaN.

A model sees the context of its window and no more of the past, for two reasons: it is compared with forecasters that
see the same rows, and the time of a window does not grow with the table.

Shapes: W windows, T context, H horizon.
"""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from timellm.config import ETSConfig, RunConfig, StatisticalConfig, ThetaConfig
from timellm.data.prepared import PreparedData
from timellm.data.season import season_length
from timellm.data.seasonality import found_seasons
from timellm.data.windows import WindowIndex
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.forecasters.contexts import contexts_of
from timellm.forecasters.cutoffs import EVERY, NO_CONTEXT, Cutoffs
from timellm.forecasters.protocol import FitJob, FitReport, OnBatch, OneRow, ignore_batch, settings_of
from timellm.forecasters.saved import check_same, reading
from timellm.installation import install_command
from timellm.optional import import_optional
from timellm.training.progress import Progress

REQUIREMENT = "statsforecast==2.1.1"
"""Installed apart from what it needs (requirements-statistical.txt): it declares pandas<3 and works with pandas 3."""
FILE = "statistical.json"
_PROBES = 8
"""Validation windows whose fits are timed."""
_FEWEST_ROWS = 64


@dataclass(frozen=True)
class Plan:
    """What is decided before the first forecast."""

    season: int
    """Rows of one season; 1: none."""
    rows: int
    """Last rows of a context that are fitted."""
    cutoffs: Cutoffs


class StatisticalForecaster(OneRow):
    """A plan; `missing` counts the windows without a forecast."""

    title: ClassVar[str]
    kind: ClassVar[str]
    section: ClassVar[type[StatisticalConfig]]

    def __init__(self, plan: Plan, own_levels: tuple[float, ...] = ()) -> None:
        self.plan, self.own_levels = plan, own_levels
        self.missing: Counter[str] = Counter()

    @classmethod
    @abstractmethod
    def model(cls, season: int) -> Any:
        """A model of statsforecast."""

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        return self.title

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob) -> tuple[Self | None, FitReport]:
        """Time a few fits on validation windows, and choose what is forecast within the budget.

        Of the test part, only which windows there are is looked at.

        Raises:
            ConfigError: statsforecast is not installed; the message has the commands that install it.
            DataError: the table has no validation or test window.
        """
        settings = settings_of(job.config, cls.section)
        started = time.monotonic()
        if job.should_stop():
            return None, FitReport(0.0, stopped=True)
        job.on_progress(Progress("loading", message=cls.title))
        import_statsforecast(cls.title)
        season, notes = _season_of(prepared, settings)
        rows, window_s = cls._timed(prepared, season, settings)
        if rows < prepared.context:
            notes.append(f"{cls.title} is fitted on the last {rows:,} rows of each context of {prepared.context:,}")
        cutoffs, left_out = Cutoffs.within_budget(prepared, settings, title=cls.title, window_s=window_s)
        facts = {"season": season, "fitted_rows": rows, "window_s": window_s}
        fitted = cls(Plan(season, rows, cutoffs), settings.quantiles)
        fitted.save(job.folder)
        return fitted, FitReport(time.monotonic() - started, facts=facts, notes=(*notes, *left_out))

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, float64 in original units.

        NaN for a test window that is not in the plan, and for one that cannot be forecast: `missing` counts why.
        """
        return self._of(prepared, index, (), on_batch)[..., 0]

    def predict_own(
        self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecasts [W, H] as `predict` has them, and quantiles [W, H, Q] of the fitted model."""
        found_WHQ = self._of(prepared, index, self.own_levels, on_batch)
        return found_WHQ[..., 0], np.sort(found_WHQ[..., 1:], axis=-1)

    def _of(
        self, prepared: PreparedData, index: WindowIndex, levels: tuple[float, ...], on_batch: OnBatch
    ) -> np.ndarray:
        """Forecasts, and quantiles behind them, [W, H, 1 + Q]."""
        chosen_W = self.plan.cutoffs.holds(index, horizon=prepared.horizon, rows=len(prepared.values))
        found_WHQ = np.full((len(index), prepared.horizon, 1 + len(levels)), np.nan)
        for at in range(len(index)):
            if chosen_W[at]:
                one = WindowIndex(index.channel[at : at + 1], index.origin[at : at + 1], 0)
                context_T = contexts_of(prepared, one)[0, -self.plan.rows :]
                found_WHQ[at] = self._forecast(context_T, prepared.horizon, levels)
            else:
                self.missing[self.plan.cutoffs.reason] += 1
            on_batch(at + 1)
        return prepared.with_effect(found_WHQ, index)

    def save(self, folder: Path) -> None:
        """Write the plan."""
        plan = asdict(self.plan) | {"cutoffs": self.plan.cutoffs.to_dict()}
        write_sealed_json(folder / FILE, {"kind": self.kind, "requirement": REQUIREMENT, "plan": plan})

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Read the plan.

        Raises:
            CheckpointError: the file is missing, damaged or of another kind.
            ConfigError: statsforecast is not installed.
        """
        path = folder / FILE
        with reading(path):
            tree = read_sealed_json(path)
            kind, plan = tree["kind"], tree["plan"]
            found = Plan(int(plan["season"]), int(plan["rows"]), Cutoffs.from_dict(plan["cutoffs"]))
        check_same(path, kind, cls.kind)
        import_statsforecast(cls.title)
        return cls(found, config.quantiles)

    def _forecast(self, context_T: np.ndarray, horizon: int, levels: tuple[float, ...]) -> np.ndarray:
        """A forecast, and quantiles behind it, [H, 1 + Q]; NaN where there is none."""
        none_HQ = np.full((horizon, 1 + len(levels)), np.nan)
        if not np.isfinite(context_T).all():
            self.missing[NO_CONTEXT] += 1
            return none_HQ
        model = self.model(self.plan.season)
        try:
            found_HQ = _fitted(model, context_T, horizon, levels)
        except Exception as error:  # noqa: BLE001 - statsforecast raises plain Exception where no model can be fitted
            reason = " ".join(str(error).split()) or "no reason given"
            self.missing[f"whose fit failed ({type(error).__name__}: {reason[:200]})"] += 1
            return none_HQ
        if not np.isfinite(found_HQ).all():
            self.missing["whose fitted model forecasts no finite number"] += 1
            return none_HQ
        return found_HQ

    @classmethod
    def _timed(cls, prepared: PreparedData, season: int, settings: StatisticalConfig) -> tuple[int, float]:
        """Rows that can be fitted within the budget of one window, and the mean seconds of a few such fits.

        From few rows on, twice as many each time, so that no fit takes much longer than the budget allows.
        """
        context_WT = contexts_of(prepared, prepared.windows("validation").evenly(_PROBES))
        rows = min(prepared.context, max(_FEWEST_ROWS, 3 * season))
        trial = cls(Plan(season, rows, EVERY), settings.quantiles)
        _seconds(trial, context_WT[0, -rows:], prepared.horizon)  # the first fit also loads what the library needs
        while rows < prepared.context:
            seconds = [_seconds(trial, context_T[-rows:], prepared.horizon) for context_T in context_WT[:2]]
            if 3 * max(seconds) > settings.window_budget_s:  # a fit of twice the rows takes up to three times as long
                break
            rows = min(2 * rows, prepared.context)
        seconds = [_seconds(trial, context_T[-rows:], prepared.horizon) for context_T in context_WT]
        return rows, sum(seconds) / len(seconds)


class ETSForecaster(StatisticalForecaster):
    """Exponential smoothing; error, trend and season are chosen by the corrected AIC (Hyndman and Khandakar, 2008)."""

    title: ClassVar[str] = "AutoETS"
    kind: ClassVar[str] = "ets"
    section: ClassVar[type[StatisticalConfig]] = ETSConfig

    @classmethod
    def model(cls, season: int) -> Any:
        """AutoETS of statsforecast."""
        from statsforecast.models import AutoETS

        return AutoETS(season_length=season)


class ThetaForecaster(StatisticalForecaster):
    """The theta method; the best of its four forms is chosen by error (Fiorucci et al., 2016)."""

    title: ClassVar[str] = "AutoTheta"
    kind: ClassVar[str] = "theta"
    section: ClassVar[type[StatisticalConfig]] = ThetaConfig

    @classmethod
    def model(cls, season: int) -> Any:
        """AutoTheta of statsforecast."""
        from statsforecast.models import AutoTheta

        return AutoTheta(season_length=season)


def import_statsforecast(title: str) -> None:
    """Import statsforecast for the forecaster called `title`.

    Raises:
        ConfigError: it, or one of the packages that it imports, is not installed.
    """
    install = f"{install_command('statistical')} && pip install --no-deps {REQUIREMENT}"
    import_optional("statsforecast.models", title=title, install=install)


def _season_of(prepared: PreparedData, settings: StatisticalConfig) -> tuple[int, list[str]]:
    """The season that is set, or one that the training rows show; none if a context holds less than two of it.

    Of several, the one that suits the step between rows (a day of hours); the shortest if that is not among them.
    """
    season = settings.season
    if season is None:
        found = found_seasons(prepared.training_values, frequency=prepared.table.frequency)
        usual = season_length(prepared.table.frequency)
        season = usual if usual in found else min((rows for rows in found if rows > 1), default=1)
    if 2 * season <= prepared.context or season == 1:
        return season, []
    return 1, [f"the season of {season:,} rows is left out: a context of {prepared.context:,} holds less than two"]


def _fitted(model: Any, context_T: np.ndarray, horizon: int, levels: tuple[float, ...]) -> np.ndarray:
    """A forecast, and quantiles behind it, [H, 1 + Q]: ends of the model's own intervals, whose level is in percent."""
    percent = {level: round(100 * abs(1 - 2 * level), 6) for level in levels if level != 0.5}
    asked = {"level": sorted(set(percent.values()))} if percent else {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of forms that it tries and drops
        found = model.forecast(y=context_T, h=horizon, **asked)
    named = [f"{'lo' if level < 0.5 else 'hi'}-{percent[level]}" if level in percent else "mean" for level in levels]
    return np.stack([np.asarray(found[name], np.float64) for name in ("mean", *named)], axis=1)


def _seconds(trial: StatisticalForecaster, context_T: np.ndarray, horizon: int) -> float:
    """Of the processor: on a busy machine the plan is the same as on an idle one."""
    started = time.thread_time()
    trial._forecast(context_T, horizon, trial.own_levels)
    return max(time.thread_time() - started, 1e-6)
