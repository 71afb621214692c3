"""Time-LLM as a forecaster: a frozen backbone is fetched and loaded, and its adapters are trained.

Beside the weights a run keeps its prototypes, the words nearest to them, and where they began, so that attention is
read without the backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from timellm.config import RunConfig
from timellm.data.events import event_names
from timellm.data.prepared import PreparedData
from timellm.files.sealed import write_sealed_json
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.protocol import FitJob, FitStoppedError
from timellm.forecasters.quantile_head_size import rows_of
from timellm.forecasters.ridge.forecaster import Ridge
from timellm.forecasters.time_llm.attention_history import AttentionRecord
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.kept import DICTIONARY, LINEAR_PATH, PROTOTYPES, START, WORDS, path_config
from timellm.forecasters.time_llm.kept_dictionary import KeptDictionary
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.vocabulary import (
    centred,
    cosines,
    heaviest_words,
    name_prototypes,
    random_cosine,
    readable_words,
    words_at,
)
from timellm.forecasters.trained import BuildJob, NetworkForecaster
from timellm.training.kept_rows import ValidationRecord
from timellm.training.peak_memory import peak_memory_mib
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
        told = job.config.data.description
        return TimeLLM(model, backbone=backbone, description=told, first=job.first, rows=rows_of(job.config))

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
    def while_training(cls, network: nn.Module) -> AbstractContextManager[None]:
        """What the language model made of prompts is kept, because windows may say the same."""
        assert isinstance(network, TimeLLM)
        return network.keeping_prompts()

    @classmethod
    def more_records(cls, network: nn.Module, pinned: PinnedWindows) -> Sequence[ValidationRecord]:
        """How the pinned windows attend to the prototypes, if there are any."""
        assert isinstance(network, TimeLLM)
        if network.prototypes is None:
            return ()
        index, device = pinned.index, next(network.parameters()).device
        contexts_BT = pinned.prepared.source(device).contexts(index.channel, origin=index.origin)
        return (AttentionRecord(pinned.folder, network, contexts_BT, pinned.prepared.config.trained.validations),)

    @classmethod
    def write_start(cls, network: nn.Module, folder: Path) -> None:
        """Write the prototypes as they are before training, if there are any, for as long as training may go on.

        In half precision: only angles are read from them.
        """
        assert isinstance(network, TimeLLM)
        if network.prototypes is None:
            return
        with torch.inference_mode():
            prototypes_VD = network.prototypes().half()
        write_tensors(folder / START, {"prototypes": prototypes_VD}, facts={"of": "prototypes before training"})

    def write_extras(self, folder: Path) -> None:
        """Write the prototypes as the trained weights give them, and what names them, if there are any."""
        if self.network.prototypes is None:
            return
        with torch.inference_mode():
            prototypes_VD = self.network.prototypes().float().cpu()
        map_weights = self.network.prototypes.map.weight if self.config.model.prototype_source == "map" else None
        at_words = map_weights is None and self.config.model.prototype_start != "map"
        words, end_VD = readable_words(self.network.reader.backbone), centred(prototypes_VD, at_words=at_words)
        names = name_prototypes(end_VD, words)
        write_tensors(folder / PROTOTYPES, {"prototypes": prototypes_VD}, facts={"of": "prototypes"})
        write_sealed_json(folder / WORDS, names.words)
        start = _start(folder)
        start_VD = None if start is None else centred(start, at_words=at_words)
        kept = KeptDictionary(
            random_cosine=random_cosine(words),
            cosines=names.cosines,
            nearest=names.nearest,
            unlisted=names.unlisted,
            heaviest=None if map_weights is None else heaviest_words(map_weights.detach(), words),
            start_words=None if start_VD is None else words_at(start_VD, words),
            start_cosines=None if start_VD is None else cosines(start_VD, end_VD),
        )
        write_sealed_json(folder / DICTIONARY, kept.to_json())


def _start(folder: Path) -> torch.Tensor | None:
    """The prototypes before training; None if an earlier version began it, which did not keep them."""
    if not (folder / START).is_file():
        return None
    return read_tensors(folder / START, remedy="start the run again")[0]["prototypes"].float()
