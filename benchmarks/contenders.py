"""The training steps that `benchmarks.step_time` compares, each behind the same three calls.

A contender is built from a `Task` in a process of its own, given windows, and asked to step or to forecast. All of
them get the same backbone weights (one folder, float32, already cut), the same windows and the same sizes.

Shapes: B batch, T context, H horizon.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

HEADS, D_MODEL, D_FF = 8, 32, 32
PROTOTYPES = 1024  # neuralforecast has them built in
DESCRIPTION = "Hourly counts of pedestrians at three places in a city."


@dataclass(frozen=True)
class Task:
    """What every contender is given."""

    backbone: str
    """Folder with the cut backbone in float32."""
    context: int
    horizon: int
    layers: int


@dataclass(frozen=True)
class Contender:
    """One implementation, ready to work."""

    step: Callable[[Tensor, Tensor], float]
    """context [B, T], target [B, H] -> loss; one optimiser step."""
    forecast: Callable[[Tensor], Tensor]
    """context [B, T] -> forecast [B, H]; nothing is trained."""
    tokens: Callable[[Tensor], tuple[float, int]] | None = None
    """context [B, T] -> prompt tokens that a window has of its own, on average, and those that all share."""


def ours(task: Task, **settings: object) -> Contender:
    """This package, with the defaults of its configuration but for `settings`."""
    from timellm.config import ModelConfig, TrainingConfig
    from timellm.forecasters.time_llm.backbone import load_backbone
    from timellm.forecasters.time_llm.network import TimeLLM
    from timellm.forecasters.time_llm.patching import instance_norm
    from timellm.training.allocator import keep_freed_memory
    from timellm.training.step import optimizer_for

    keep_freed_memory()  # as `timellm.training.loop.train` does
    config = ModelConfig(
        backbone=task.backbone, layers=task.layers, context=task.context, horizon=task.horizon,
        heads=HEADS, d_model=D_MODEL, d_ff=D_FF, prototypes=PROTOTYPES, **settings,
    )  # fmt: skip
    network = TimeLLM(config, backbone=load_backbone(config, device="cpu"), description=DESCRIPTION)

    def tokens(context_BT: Tensor) -> tuple[float, int]:
        texts = network.template.texts(instance_norm(context_BT)[0])
        ids = network.reader.backbone.token_ids(texts)
        shared = len(network.reader.shared_ids)
        return sum(map(len, ids)) / len(ids) - shared, shared

    optimizer = optimizer_for(network, TrainingConfig())
    return replace(_contender(network, network, optimizer), tokens=tokens)


def chosen_patches(task: Task) -> dict[str, int]:
    """Patch length and stride where the verb `fit` would choose other ones than the usual for this context."""
    from timellm.config import RunConfig
    from timellm.data.suggested import suggested_patches

    config = RunConfig.create("table.csv", context=task.context, horizon=task.horizon)
    return {one.name: one.value for one in suggested_patches(config, config.task)}


def default(task: Task) -> Contender:
    """This package as a run is by default."""
    return ours(task, **chosen_patches(task))


def faithful(task: Task) -> Contender:
    """This package as close to the paper as it goes, in float32."""
    return ours(
        task, prototype_source="map", attention_scores="dot", linear_path="none", prompt_style="paper",
        statistic_digits=0, lags="circular", attention_dropout=0.1, round_patches=True, backbone_dtype="float32",
    )  # fmt: skip


def neuralforecast(task: Task) -> Contender:
    """The TimeLLM of the package `neuralforecast`, which is the published structure in float32."""
    os.environ["NIXTLA_ID_AS_COL"] = "1"
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    from neuralforecast.models import TimeLLM as Peer

    with contextlib.redirect_stdout(None):
        model = Peer(
            h=task.horizon, input_size=task.context, llm=task.backbone, d_llm=_width(task.backbone),
            d_ff=D_FF, d_model=D_MODEL, n_heads=HEADS, enc_in=1, prompt_prefix=DESCRIPTION,
        )  # fmt: skip
    # Its trainer's own choice; frozen weights have no gradient and are passed over.
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return _contender(model, lambda context_BT: model({"insample_y": context_BT[..., None]})[..., 0], optimizer)


CONTENDERS: dict[str, Callable[[Task], Contender]] = {
    "neuralforecast": neuralforecast,
    "faithful": faithful,
    "default": default,
}


def _width(folder: str) -> int:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder).hidden_size


def _contender(
    module: torch.nn.Module, predict: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer
) -> Contender:
    def step(context_BT: Tensor, target_BH: Tensor) -> float:
        module.train()
        optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(predict(context_BT), target_BH)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([weight for weight in module.parameters() if weight.requires_grad], 1.0)
        optimizer.step()
        return loss.item()

    @torch.inference_mode()
    def forecast(context_BT: Tensor) -> Tensor:
        module.eval()
        return predict(context_BT)

    return Contender(step, forecast)
