"""Time-LLM as a forecaster: a frozen backbone is fetched and loaded, and its adapters are trained.

Beside the weights a run keeps its prototypes and the words nearest to them, so that attention is read without the
backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from timellm.config import RunConfig
from timellm.data.events import event_names
from timellm.data.prepared import PreparedData
from timellm.files.sealed import write_sealed_json
from timellm.files.tensorfile import write_tensors
from timellm.forecasters.protocol import FitJob, FitStoppedError
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.time_llm.attention_history import AttentionRecord
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.kept import LINEAR_PATH, PROTOTYPES, WORDS, path_config
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.vocabulary import nearest_words
from timellm.forecasters.trained import BuildJob, NetworkForecaster
from timellm.training.kept_rows import ValidationRecord
from timellm.training.loop import peak_memory_mib
from timellm.training.pinned import PinnedWindows
from timellm.training.progress import Progress


class TimeLLMForecaster(NetworkForecaster):
    """A trained Time-LLM."""

    network: TimeLLM

    @classmethod
    def build(cls, job: BuildJob) -> nn.Module:
        """The adapters around the backbone that the settings name.

        Raises:
            BackboneError: the backbone cannot be had, or prompt and patches do not fit its positions.
        """
        model = job.config.model
        if model.tells_time:
            event_names(model)  # a missing package is told before a backbone is fetched

        def on_bytes(done: int, total: int) -> None:
            message = f"Fetching {model.backbone}"
            job.on_progress(Progress("fetching", done, total, fraction=done / total, message=message))
            if job.should_stop():
                raise FitStoppedError

        job.on_progress(Progress("loading", message=f"Loading {model.backbone}"))
        backbone = load_backbone(model, device=job.device, on_bytes=on_bytes)
        job.on_progress(Progress("loading", fraction=1.0, memory_mib=peak_memory_mib()))
        if job.should_stop():
            raise FitStoppedError
        torch.manual_seed(job.config.trained.seed)  # loading a backbone may have drawn from the generator
        return TimeLLM(model, backbone=backbone, description=job.config.data.description, first=job.first)

    @classmethod
    def has_language_model(cls, config: RunConfig) -> bool:
        """Whether the run has the trained language model, and not a layer or random weights in its place."""
        return config.model.body == "language_model"

    @classmethod
    def find_base(cls, network: nn.Module, prepared: PreparedData, job: FitJob) -> Ridge | None:
        """The linear path: a ridge of this table, solved now unless the run had solved it before it was cut off."""
        assert isinstance(network, TimeLLM)
        if job.config.model.linear_path == "none":
            return None
        # Not at construction: whoever measures a network's memory or gradients wants a head that passes some on.
        network.head.start_at_zero()
        if (job.folder / LINEAR_PATH).is_file():
            return cls.load_base(job.folder, job.config)
        solving = replace(job, config=path_config(job.config))
        ridge, _ = Ridge.fit(prepared, solving, file=LINEAR_PATH)
        if ridge is None:
            raise FitStoppedError
        return ridge

    @classmethod
    def load_base(cls, folder: Path, config: RunConfig) -> Ridge | None:
        """The linear path, without what training added to it."""
        if config.model.linear_path == "none":
            return None
        return Ridge.load(folder, path_config(config), file=LINEAR_PATH)

    @property
    def reads_time(self) -> bool:
        """Whether prompts say when a forecast begins, or the linear path is told."""
        return self.config.model.tells_time or (self.base is not None and self.base.reads_time)

    @classmethod
    def remedy_of_divergence(cls, config: RunConfig) -> str:
        """More digits in the frozen backbone, unless it has them already."""
        return "" if config.model.backbone_dtype == "float32" else "use backbone_dtype=float32"

    @classmethod
    def more_records(cls, network: nn.Module, pinned: PinnedWindows) -> Sequence[ValidationRecord]:
        """How the pinned windows attend to the prototypes, if there are any."""
        assert isinstance(network, TimeLLM)
        if network.prototypes is None:
            return ()
        index, device = pinned.index, next(network.parameters()).device
        contexts_BT = pinned.prepared.source(device).contexts(index.channel, origin=index.origin)
        return (AttentionRecord(pinned.folder, network, contexts_BT, pinned.prepared.config.trained.validations),)

    def write_extras(self, folder: Path) -> None:
        """Write the prototypes as the trained weights give them, and the words nearest to each, if there are any."""
        if self.network.prototypes is None:
            return
        with torch.inference_mode():
            prototypes_VD = self.network.prototypes()
        write_tensors(folder / PROTOTYPES, {"prototypes": prototypes_VD.float()}, facts={"of": "prototypes"})
        write_sealed_json(folder / WORDS, nearest_words(prototypes_VD, self.network.reader.backbone))
