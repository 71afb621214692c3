"""What all forecasters share that are networks and are trained step by step: the fit, the weights on disk, forecasts.

Inputs: a prepared table and a run's folder. Outputs: in the folder the best weights (adapter.safetensors), the state
from which training goes on, and the forecasts of the pinned windows; in memory a forecaster. A kind writes `build`,
which makes its network, and nothing else. Its network maps contexts [B, T] to forecasts [B, H], both z-scored by
channel, and registers only what trains. A network that also gives quantiles is called as timellm.training.quantiles
says.

The caller has written the settings, the table and the scale into the folder, so that the weights' file names what they
belong to. The caller also removes the training state, once everything that it shows is written: a run that is killed
before that goes on from its trained weights.

Shapes: B batch, T context, H horizon, W windows, Q quantiles.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.errors import ConfigError
from timellm.forecasters.protocol import FitJob, FitReport, FitStoppedError, OnBatch, OneRow, ignore_batch
from timellm.forecasters.registry import kind_of
from timellm.forecasters.start_rules import start_of
from timellm.forecasters.started import Start, begin_at
from timellm.forecasters.training_report import training_report
from timellm.training.checkpoint import device_of, load_adapter, save_adapter
from timellm.training.evaluation import forecast_windows
from timellm.training.kept_rows import ValidationRecord
from timellm.training.loop import train
from timellm.training.pinned import PinnedWindows
from timellm.training.processes import from_main, main_first, weights_from_main
from timellm.training.progress import OnProgress, ShouldStop, ignore_progress, never_stop
from timellm.training.quantiles import levels_of
from timellm.training.state import Belonging, StateFile, has_state
from timellm.training.step import TrainingWindows
from timellm.training.zero import processes_of


@dataclass(frozen=True)
class BuildJob:
    """What a network is built from."""

    config: RunConfig
    context: int
    horizon: int
    device: torch.device
    """Where it works: the network is moved there after it was built, and what it holds beside its weights must be there
    already."""
    on_progress: OnProgress = ignore_progress
    """For a network whose parts are fetched or take long to load."""
    should_stop: ShouldStop = never_stop
    first: bool = True
    """Whether training begins with the network's weights; others are put in their place otherwise."""


class Base(Protocol):
    """A forecaster that was solved at once, to whose forecasts a network adds."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's summary says of it, by name: JSON values."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of the results should know."""
        ...

    @property
    def reads_time(self) -> bool:
        """Whether a forecast depends on when it begins, beside the values before it."""
        ...

    @property
    def tied_to_table(self) -> str:
        """What ties it to the table it was solved on, as timellm.forecasters.protocol.TiedToTable has it."""
        ...

    def on(self, prepared: PreparedData) -> Callable[[WindowIndex], np.ndarray]:
        """What forecasts windows [W] of one table, [W, H], z-scored by channel."""
        ...


class NetworkForecaster(OneRow):
    """A trained network, and the configuration that it was trained with."""

    def __init__(
        self,
        network: nn.Module,
        config: RunConfig,
        *,
        base: Base | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        """`base` is what the network adds to."""
        self.network, self.config, self.base = network, config, base
        self._accelerator = accelerator
        self._cut: tuple[PreparedData, WindowSource] | None = None

    @classmethod
    @abstractmethod
    def build(cls, job: BuildJob) -> nn.Module:
        """The network with its first weights, drawn from torch's generator, which has just been seeded.

        Every process of a run calls this, the main one before the others.

        Raises:
            ConfigError: its settings contradict each other or the task.
            FitStoppedError: the user stopped the run meanwhile.
        """

    @classmethod
    def find_base(cls, network: nn.Module, prepared: PreparedData, job: FitJob) -> Base | None:
        """What the network adds to, solved before training and kept in the run's folder; the main process calls it.

        A network with a base adds nothing at first. It is validated before its first step, and is kept as it is if no
        step makes it surely better.

        Raises:
            FitStoppedError: the user stopped the run meanwhile.
        """
        return None

    @classmethod
    def load_base(cls, folder: Path, config: RunConfig) -> Base | None:
        """The base that a finished run's folder keeps.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        return None

    @classmethod
    def write_start(cls, network: nn.Module, folder: Path) -> None:
        """Write what this kind wants to know after training of the weights before it; the main process calls it.

        It is not called when training goes on. The caller of `fit` removes the file with the training state.
        """

    @classmethod
    def has_language_model(cls, config: RunConfig) -> bool:
        """Whether training adds a language model to what `begin` solved; then the report says if it added nothing."""
        return False

    @classmethod
    def while_training(cls, network: nn.Module) -> AbstractContextManager[None]:
        """Open while training goes on: what is held in memory for it, and no longer."""
        return nullcontext()

    @classmethod
    def more_records(cls, network: nn.Module, pinned: PinnedWindows) -> Sequence[ValidationRecord]:
        """What this kind keeps of every validation beside the forecasts of the pinned windows; the main process asks.

        It must draw no random number and change no weight.
        """
        return ()

    def write_extras(self, folder: Path) -> None:
        """Write what this kind keeps beside its weights, after training; the main process alone calls it."""

    @classmethod
    def remedy_of_divergence(cls, config: RunConfig) -> str:
        """What helps against divergence beside a lower learning rate, as the error says it; often nothing."""
        return ""

    @classmethod
    def fit(cls, prepared: PreparedData, job: FitJob) -> tuple[Self | None, FitReport]:
        """Train through the loop of timellm.training, or go on where a training in `job.folder` was cut off.

        All processes that a launcher has started for the run call this. An experiment tracker follows `job.on_progress`
        (timellm.training.tracker).

        Raises:
            CheckpointError: the folder's training state is damaged, or belongs to a run with other settings or data.
            ConfigError: settings contradict each other, or training diverged.
            DataError: the table is too short for the windows.
        """
        started = time.monotonic()
        training = job.config.trained
        accelerator = processes_of(training)
        if not accelerator.is_main_process:  # it does what the main one decides
            job = replace(job, on_progress=ignore_progress, should_stop=never_stop)
        index = {part: prepared.windows(part) for part in ("training", "validation")}
        device = accelerator.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)  # this run's peak, not that of one before it in the same process
        building = BuildJob(job.config, prepared.context, prepared.horizon, device, job.on_progress, job.should_stop)
        try:
            network = main_first(accelerator, lambda: cls._first_network(building))
            base = from_main(accelerator, lambda: cls.find_base(network, prepared, job))
        except FitStoppedError:
            return None, FitReport(time.monotonic() - started, stopped=True)
        source = _source(prepared, base, device)
        if not from_main(accelerator, lambda: has_state(job.folder)):
            if (start := start_of(job.config, job.folder)) is not None:
                rules = kind_of(job.config.kind).start_rules
                from_main(accelerator, lambda: begin_at(network, job.config, job.folder, source=start, rules=rules))
            from_main(accelerator, lambda: cls.write_start(network, job.folder))
            if base is not None and levels_of(network):
                network.quantile_head.start_at_errors(source, index["training"], base.on(prepared))
        began = from_main(accelerator, lambda: Start.read(job.folder))
        records: list[ValidationRecord] = []
        if training.pinned_windows and accelerator.is_main_process:
            pinned = PinnedWindows.of(prepared, job.folder)
            records = [pinned, *cls.more_records(network, pinned)]
        with cls.while_training(network):
            trained = train(
                network,
                TrainingWindows(source, index["training"], index["validation"]),
                training,
                save_best=lambda: save_adapter(job.folder, network),
                on_progress=job.on_progress,
                should_stop=job.should_stop,
                state=StateFile(job.folder, Belonging(job.config, prepared.changed_rules)),
                records=records,
                accelerator=accelerator,
                remedy=cls.remedy_of_divergence(job.config),
                validate_first=base is not None or began is not None,
                adds_first=base is not None and began is not None and not began.left,
            )
        if math.isnan(trained.best_validation_loss):
            return None, FitReport(time.monotonic() - started, stopped=True)
        from_main(accelerator, lambda: load_adapter(job.folder, network))
        weights_from_main(accelerator, network)
        fitted = cls(network, job.config, base=base, accelerator=accelerator)
        from_main(accelerator, lambda: fitted.write_extras(job.folder))
        report = training_report(trained, seconds=time.monotonic() - started, quantiles=bool(levels_of(network)))
        if base is not None:
            report = replace(report, facts=report.facts | base.facts, notes=(*report.notes, *base.notes))
        if began is not None:
            notes = (*began.notes(prepared.horizon), *report.notes)
            report = replace(report, facts=report.facts | began.facts, notes=notes)
        if base is not None and cls.has_language_model(job.config):
            report.facts["adds_nothing"] = trained.adds_nothing
        return fitted, report

    @property
    def name(self) -> str:
        """As a leaderboard shows it."""
        return kind_of(self.config.kind).title

    @property
    def tied_to_table(self) -> str:
        """What ties its base to one table; the network itself is shared by all channels."""
        return self.base.tied_to_table if self.base is not None else ""

    def predict(self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch) -> np.ndarray:
        """Forecasts [W, H] of the windows in `index`, float64 in original units; NaN where a context misses values.

        After a fit by several processes, all of them must call this; each forecasts a share, and all get all forecasts.
        """
        scaled_WH = forecast_windows(
            self.network, self.source(prepared), index, on_batch=on_batch, accelerator=self._accelerator
        )
        return prepared.restore(scaled_WH, index)

    @property
    def own_levels(self) -> tuple[float, ...]:
        """Levels of the quantiles that it gives; empty for most."""
        return levels_of(self.network)

    def predict_own(
        self, prepared: PreparedData, index: WindowIndex, *, on_batch: OnBatch = ignore_batch
    ) -> tuple[np.ndarray, np.ndarray]:
        """Forecasts [W, H] as `predict` has them, and quantiles [W, H, Q] at `own_levels`, rising; by all processes."""
        found_WHQ = forecast_windows(
            self.network,
            self.source(prepared),
            index,
            on_batch=on_batch,
            accelerator=self._accelerator,
            quantiles=True,
        )
        forecast_WH = prepared.restore(found_WHQ[..., 0], index)
        offset_WHQ = found_WHQ[..., 1:] * prepared.scaler.scale[index.channel, None, None]
        return forecast_WH, forecast_WH[..., None] + offset_WHQ

    def save(self, folder: Path) -> None:
        """Write the trained weights."""
        save_adapter(folder, self.network)

    @classmethod
    def load(cls, folder: Path, config: RunConfig) -> Self:
        """Build the network on the device that `config` names, with the trained weights in `folder`.

        Raises:
            CheckpointError: the weights are missing, damaged, or of another shape.
            ConfigError: there is no such device.
        """
        device = device_of(config.device)
        network = cls.build(BuildJob(config, config.task.context, config.task.horizon, device, first=False))
        load_adapter(folder, network.to(device))
        return cls(network, config, base=cls.load_base(folder, config))

    @classmethod
    def _first_network(cls, job: BuildJob) -> nn.Module:
        torch.manual_seed(job.config.trained.seed)
        network = cls.build(job).to(job.device)
        if job.config.trained.gradient_checkpointing and not hasattr(network, "checkpoint_gradients"):
            raise ConfigError(
                f"setting 'gradient_checkpointing' is on, but {type(network).__name__} has no layers that run again;"
                " leave it off, and raise 'accumulation' if memory is short"
            )
        return network

    def source(self, prepared: PreparedData) -> WindowSource:
        """The windows' source, kept for the next call: forecasts are asked for in many small parts of one table."""
        if self._cut is None or self._cut[0] is not prepared:
            device = next(self.network.parameters()).device
            self._cut = prepared, _source(prepared, self.base, device)
        return self._cut[1]


def _source(prepared: PreparedData, base: Base | None, device: torch.device) -> WindowSource:
    return prepared.source(device, base=base.on(prepared) if base else None)
