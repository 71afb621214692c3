"""Time-LLM as a forecaster: a frozen backbone is fetched and loaded, and its adapters are trained.

Beside the weights a run keeps its prototypes and the words nearest to them, so that attention is read without the
backbone.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from timellm.config import RunConfig
from timellm.data.events import event_names
from timellm.data.prepared import PreparedData
from timellm.files.sealed import write_sealed_json
from timellm.files.tensorfile import write_tensors
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.ridge import FILE as RIDGE
from timellm.forecasters.ridge import Ridge
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.kept import PROTOTYPES, WORDS
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.vocabulary import nearest_words
from timellm.forecasters.trained import BuildJob, BuildStoppedError, NetworkForecaster
from timellm.training.loop import peak_memory_mib
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
                raise BuildStoppedError

        job.on_progress(Progress("loading", message=f"Loading {model.backbone}"))
        backbone = load_backbone(model, device=job.device, on_bytes=on_bytes)
        job.on_progress(Progress("loading", fraction=1.0, memory_mib=peak_memory_mib()))
        if job.should_stop():
            raise BuildStoppedError
        torch.manual_seed(job.config.trained.seed)  # loading a backbone may have drawn from the generator
        return TimeLLM(model, backbone=backbone, description=job.config.data.description, first=job.first)

    @classmethod
    def has_language_model(cls, config: RunConfig) -> bool:
        """Whether the run has the trained language model, and not a layer or random weights in its place."""
        return config.model.body == "language_model"

    @classmethod
    def begin(cls, network: nn.Module, prepared: PreparedData, job: FitJob) -> bool:
        """Start the linear path at the ridge of this table: the one that the run has beside it, or one solved now."""
        assert isinstance(network, TimeLLM)
        if network.linear_path is None:
            return False
        settings = job.config.updated(kind="ridge")
        if (job.folder / RIDGE).is_file():
            ridge = Ridge.load(job.folder, settings)
        else:
            solved, _ = Ridge.fit(prepared, FitJob(settings, job.folder))
            assert solved is not None  # nobody can stop it
            ridge = solved
        network.start_at_ridge(ridge.weights_FH)
        return True

    @classmethod
    def remedy_of_divergence(cls, config: RunConfig) -> str:
        """More digits in the frozen backbone, unless it has them already."""
        return "" if config.model.backbone_dtype == "float32" else "use backbone_dtype=float32"

    def write_extras(self, folder: Path) -> None:
        """Write the prototypes as the trained weights give them, and the words nearest to each, if there are any."""
        if self.network.prototypes is None:
            return
        with torch.inference_mode():
            prototypes_VD = self.network.prototypes()
        write_tensors(folder / PROTOTYPES, {"prototypes": prototypes_VD.float()}, facts={"of": "prototypes"})
        write_sealed_json(folder / WORDS, nearest_words(prototypes_VD, self.network.reader.backbone))
