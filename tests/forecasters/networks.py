"""Small networks of every kind that is trained step by step, for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from timellm.config import AutoformerConfig, DLinearConfig, PatchTSTConfig
from timellm.forecasters.autoformer import Autoformer
from timellm.forecasters.dlinear import DLinear
from timellm.forecasters.patchtst import PatchTST

CONTEXT, HORIZON = 40, 6


def small_dlinear() -> DLinear:
    return DLinear(DLinearConfig(moving_average=5), context=CONTEXT, horizon=HORIZON)


def small_autoformer() -> Autoformer:
    settings = AutoformerConfig(d_model=8, d_ff=16, moving_average=5, factor=2.0)
    return Autoformer(settings, context=CONTEXT, horizon=HORIZON)


def small_patchtst() -> PatchTST:
    settings = PatchTSTConfig(patch_length=8, stride=4, d_model=8, heads=2, d_ff=16, layers=2)
    return PatchTST(settings, context=CONTEXT, horizon=HORIZON)


SMALL_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "dlinear": small_dlinear,
    "autoformer": small_autoformer,
    "patchtst": small_patchtst,
}


def seeded(name: str, *, seed: int = 0) -> nn.Module:
    """A small network of this kind with reproducible weights."""
    torch.manual_seed(seed)
    return SMALL_NETWORKS[name]()
