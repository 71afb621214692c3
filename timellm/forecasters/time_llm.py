"""Time-LLM as a forecaster: a frozen backbone is fetched and loaded, and its adapters are trained.

Beside the weights a run keeps its prototypes and the words nearest to them, so that attention is read without the
backbone.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from timellm.forecasters.trained import BuildJob, BuildStoppedError, NetworkForecaster
from timellm.model.backbone import load_backbone
from timellm.model.network import TimeLLM
from timellm.model.vocabulary import nearest_words
from timellm.training.loop import peak_memory_mib
from timellm.training.progress import Progress
from timellm.training.sealed import write_sealed_json
from timellm.training.tensorfile import write_tensors

PROTOTYPES, WORDS = "prototypes.safetensors", "words.json"


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
        return TimeLLM(model, backbone=backbone, description=job.config.data.description)

    def write_extras(self, folder: Path) -> None:
        """Write the prototypes as the trained weights give them, and the words nearest to each."""
        with torch.inference_mode():
            prototypes_VD = self.network.prototypes()
        write_tensors(folder / PROTOTYPES, {"prototypes": prototypes_VD.float()}, facts={"of": "prototypes"})
        write_sealed_json(folder / WORDS, nearest_words(prototypes_VD, self.network.reader.backbone))
