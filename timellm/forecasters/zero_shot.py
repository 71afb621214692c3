"""What all forecasters share that were trained elsewhere and learn nothing from the table ("zero-shot").

Inputs: contexts of a prepared table. Outputs: quantiles; the forecast is their median. On disk: which weights were
used, so that a later `load` finds the same ones or says that they are others. A kind writes `open_weights`,
`quantile_levels` and `quantiles_of`.

Each context is shifted by its last value and divided by its own standard deviation before a model sees it: these models
do the same inside, but in float32, where a small movement on a large level would be lost.

Shapes: W windows, B batch, T context, H horizon, Q quantiles.
"""

from __future__ import annotations

import hashlib
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from timellm.config import BudgetConfig, ChronosConfig, FracastConfig, RunConfig, TimesFMConfig
from timellm.data.prepared import PreparedData
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError, ConfigError
from timellm.files.sealed import read_sealed_json, write_sealed_json
from timellm.forecasters.contexts import contexts_of
from timellm.forecasters.cutoffs import EVERY, NO_CONTEXT, Cutoffs
from timellm.forecasters.protocol import FitJob, FitReport, OnBatch, OneRow, ignore_batch, settings_of
from timellm.forecasters.saved import REMEDY, check_same, reading
from timellm.installation import install_command
from timellm.optional import import_optional
from timellm.training.progress import Progress

FILE = "zero_shot.json"
_CUTOFFS = "cutoffs"
_TIMED = 3
"""Single windows that are timed where the budget is too short for all test windows."""
MAY_HAVE_SEEN = "may have seen this data in training"


@dataclass(frozen=True)
class Source:
    """The weights that a forecaster works with, as its folder names them."""

    package: str
    version: str
    weights: str
    revision: str | None = None
    """Of a model hub."""
    digest: str | None = None
    """SHA-256 of the weights in a local folder."""


class ZeroShotForecaster(OneRow):
    """A loaded foundation model, and where its weights came from."""

    title: ClassVar[str]
    module: ClassVar[str]
    """What is imported."""
    package: ClassVar[str]
    """What is installed."""
    section: ClassVar[type[FracastConfig | TimesFMConfig | ChronosConfig]]
    """Its section of a configuration."""
    batch: ClassVar[int] = 32
    """Windows that are forecast at once."""
    may_have_seen: ClassVar[str] = MAY_HAVE_SEEN
    """Stands beside its errors wherever they are shown."""
    never_below_zero: bool = False
    """Whether forecasts are kept at zero or above where no value of the context is below zero."""

    own_levels: tuple[float, ...] = ()
    """Those of the model's quantiles that bands are made of."""

    def __init__(self, model: Any, source: Source, cutoffs: Cutoffs = EVERY) -> None:
        self.model, self.source, self.cutoffs = model, source, cutoffs
        self.missing: Counter[str] = Counter()

    @classmethod
    @abstractmethod
    def open_weights(cls, weights: str, *, revision: str | None) -> tuple[Any, str | None]:
        """The model with its weights, and their revision on a model hub.

        Raises:
            BackboneError: the weights are not here and cannot be fetched, or are another model's.
        """

    @property
    @abstractmethod
    def quantile_levels(self) -> tuple[float, ...]:
        """The Q levels of the quantiles, rising, 0.5 among them."""

    @abstractmethod
    def quantiles_of(self, context_BT: np.ndarray, *, horizon: int) -> np.ndarray:
        """Quantiles [B, H, Q] after contexts without gaps, float32, both shifted and divided as the module says."""

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        return self.title

    @classmethod
    def install(cls) -> str:
        """The command that installs the package."""
        return install_command("zero-shot", (cls.package,))

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob) -> tuple[Self | None, FitReport]:
        """Load the model, and choose what is forecast within the budget; nothing is learned from the table.

        Raises:
            ConfigError: its package is not installed; the message has the command that installs it. Or the model has no
                quantiles at the levels that are set.
            BackboneError: its weights are not here and cannot be fetched.
        """
        settings = settings_of(job.config, cls.section)
        started = time.monotonic()
        if job.should_stop():
            return None, FitReport(0.0, stopped=True)
        job.on_progress(Progress("loading", message=cls.title))
        forecaster = cls._opened(settings.weights)
        forecaster._choose(settings.quantiles)
        forecaster.cutoffs, left_out = forecaster._within_budget(prepared, settings)
        forecaster.save(job.folder)
        seen = f"{cls.title} {cls.may_have_seen}: its errors here may be lower than on data that nobody has seen"
        facts = asdict(forecaster.source)
        return forecaster, FitReport(time.monotonic() - started, facts=facts, notes=(seen, *left_out))

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Median forecasts [W, H] of the windows in `index`, float64 in original units.

        NaN for a test window that is not in the plan, and where a context has gaps that the task does not fill.
        """
        levels = [self.quantile_levels.index(0.5)]
        return self._forecast(prepared, index, levels=levels, on_batch=on_batch)[..., 0]

    def predict_quantiles(
        self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch
    ) -> np.ndarray:
        """Quantiles [W, H, Q] at `quantile_levels`, float64 in original units; NaN as in `predict`.

        They are as the model gives them: neighbouring ones may cross.
        """
        return self._forecast(prepared, index, levels=range(len(self.quantile_levels)), on_batch=on_batch)

    def predict_own(
        self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecasts [W, H] as `predict` has them, and quantiles [W, H, Q] at `own_levels`, sorted."""
        levels = [self.quantile_levels.index(level) for level in (0.5, *self.own_levels)]
        found_WHQ = self._forecast(prepared, index, levels=levels, on_batch=on_batch)
        return found_WHQ[..., 0], np.sort(found_WHQ[..., 1:], axis=-1)

    def save(self, folder: Path) -> None:
        """Write which weights these are and which windows are forecast; the weights stay where they are."""
        write_sealed_json(folder / FILE, asdict(self.source) | {_CUTOFFS: self.cutoffs.to_dict()})

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Load the model with the weights that `folder` names.

        Raises:
            CheckpointError: the folder's file is missing, damaged or another kind's, or the weights have changed.
            ConfigError: the package is not installed.
            BackboneError: the weights are gone.
        """
        path = folder / FILE
        with reading(path):
            tree = read_sealed_json(path)
            cutoffs = Cutoffs.from_dict(tree.pop(_CUTOFFS)) if _CUTOFFS in tree else EVERY  # of an earlier version
            saved = Source(**tree)
        check_same(path, saved.package, cls.package)
        found = cls._opened(saved.weights, revision=saved.revision)
        found._check_weights(saved, path)
        found._choose(config.quantiles)
        found.cutoffs = cutoffs
        return found

    @classmethod
    def _opened(cls, weights: str, *, revision: str | None = None) -> Self:
        import_optional(cls.module, title=cls.title, install=cls.install())
        model, revision = cls.open_weights(weights, revision=revision)
        folder = Path(weights).expanduser()
        digest = weights_digest(folder) if weights and folder.is_dir() else None
        return cls(model, Source(cls.package, metadata.version(cls.package), weights, revision, digest))

    def _choose(self, levels: tuple[float, ...]) -> None:
        """Make bands of the quantiles at these levels; of none where there are none."""
        if missing := [level for level in levels if level not in self.quantile_levels]:
            has = ", ".join(f"{level:g}" for level in self.quantile_levels)
            raise ConfigError(f"{self.title} has no quantile at {missing[0]:g}; choose 'quantiles' among {has}")
        self.own_levels = levels

    def _check_weights(self, saved: Source, path: Path) -> None:
        if self.source.digest != saved.digest:
            raise CheckpointError(
                f"the weights in {saved.weights} are not those that {path} was written with; put them back, or {REMEDY}"
            )
        if not saved.weights and self.source.version != saved.version:  # the weights are the package's own
            raise CheckpointError(
                f"{path} was written with {saved.package} {saved.version}, whose weights may differ from those of the"
                f" {self.source.version} that is installed; install {saved.package}=={saved.version}, or {REMEDY}"
            )

    def _forecast(
        self, prepared: PreparedData, index: WindowIndex, *, levels: Sequence[int], on_batch: OnBatch
    ) -> np.ndarray:
        forecast_WHQ = np.full((len(index), prepared.horizon, len(levels)), np.nan)
        chosen_W = self.cutoffs.holds(index, horizon=prepared.horizon, rows=len(prepared.values))
        self.missing[self.cutoffs.reason] += int((~chosen_W).sum())
        places = np.flatnonzero(chosen_W)
        # Chosen windows lie apart, so that few are asked for at once, and a batch would be padding.
        size = self.batch if self.cutoffs.origins is None else 1
        for begin in range(0, len(places), size):
            at_B = places[begin : begin + size]
            context_BT = contexts_of(prepared, WindowIndex(index.channel[at_B], index.origin[at_B], 0))
            whole = np.flatnonzero(np.isfinite(context_BT).all(axis=1))
            self.missing[NO_CONTEXT] += len(at_B) - len(whole)
            if len(whole):
                # Every batch is as large as the others, filled up by repetition: products of another size are summed in
                # another order, and a forecast would depend on which windows were asked for together.
                quantiles_BHQ = self._in_original_units(context_BT[np.resize(whole, size)], prepared.horizon)
                forecast_WHQ[at_B[whole]] = quantiles_BHQ[: len(whole), :, levels]
            on_batch(int(at_B[-1]) + 1)
        on_batch(len(index))
        return prepared.with_effect(forecast_WHQ, index)

    def _within_budget(self, prepared: PreparedData, limits: BudgetConfig) -> tuple[Cutoffs, tuple[str, ...]]:
        """The test windows that there is time for, by what validation windows take, and a note if not all."""
        context_WT = contexts_of(prepared, prepared.windows("validation").evenly(self.batch))
        self._in_original_units(context_WT[:1], prepared.horizon)  # the first one also loads what the library needs
        window_s = min(_seconds(self, context_WT[[at]], prepared.horizon) for at in range(min(_TIMED, len(context_WT))))
        windows = len(prepared.windows("test"))
        if window_s * windows > limits.budget_s and not limits.most_windows:  # a whole batch may be faster
            batch_BT = context_WT[np.resize(np.arange(len(context_WT)), self.batch)]
            batched_s = _seconds(self, batch_BT, prepared.horizon) / self.batch
            window_s = batched_s if batched_s * windows <= limits.budget_s else window_s
        return Cutoffs.within_budget(prepared, limits, title=self.title, window_s=window_s)

    def _in_original_units(self, context_BT: np.ndarray, horizon: int) -> np.ndarray:
        last_B1 = context_BT[:, -1:]
        moves_B1 = np.ptp(context_BT, axis=1, keepdims=True) > 0
        scale_B1 = np.where(moves_B1, context_BT.std(axis=1, keepdims=True), 1.0)
        scaled_BT = ((context_BT - last_B1) / scale_B1).astype(np.float32)
        quantiles_BHQ = self.quantiles_of(scaled_BT, horizon=horizon).astype(np.float64)
        quantiles_BHQ = quantiles_BHQ * scale_B1[..., None] + last_B1[..., None]
        if self.never_below_zero:
            floor_B = np.where(context_BT.min(axis=1) >= 0, 0.0, -np.inf)
            quantiles_BHQ = np.maximum(quantiles_BHQ, floor_B[:, None, None])
        return quantiles_BHQ


def _seconds(forecaster: ZeroShotForecaster, context_BT: np.ndarray, horizon: int) -> float:
    started = time.monotonic()
    forecaster._in_original_units(context_BT, horizon)
    return max(time.monotonic() - started, 1e-6)


def weights_digest(folder: Path) -> str:
    """SHA-256 over the safetensors files of a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
