"""Integrated gradients of a forecast with respect to its patches (Sundararajan, Taly and Yan 2017), by Captum.

Inputs: opened windows. Outputs: what each patch adds on the way from the forecast of a window whose patches are all its
mean patch to the forecast of the window itself. The two forecasts are vectors; what is attributed is their distance,
that is the way along the direction from the one to the other. So the patches' numbers sum to that distance.

Shapes: B windows, P patches, M d_model, H horizon.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from timellm.forecasters.time_llm.masks import Opened
from timellm.installation import install_command
from timellm.optional import import_optional

STEPS = 16
"""Points of the Gauss-Legendre rule on the way."""


def has_gradients() -> bool:
    """Whether Captum is there."""
    return importlib.util.find_spec("captum") is not None


def how_to_get_them() -> str:
    """What to install, in a sentence."""
    return f"For integrated gradients, install the package captum: {install_command('explain')}"


@dataclass(frozen=True)
class Attributions:
    """What each patch adds to the forecast."""

    attribution_BP: np.ndarray
    """On the scale of the forecasts."""
    distance_B: np.ndarray
    """Between the two forecasts; the attributions of a window sum to it but for the error of the integration."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The windows of several batches."""
        return cls(
            np.concatenate([one.attribution_BP for one in parts]), np.concatenate([one.distance_B for one in parts])
        )

    @property
    def gap(self) -> float:
        """Error of the integration, as a share of the distances."""
        missed_B = np.abs(self.attribution_BP.sum(axis=1) - self.distance_B)
        return float(missed_B.sum() / self.distance_B.sum()) if self.distance_B.any() else math.nan


def integrated_gradients(opened: Opened, *, steps: int = STEPS) -> Attributions:
    """Attribute the forecasts of opened windows to their patches.

    Raises:
        ConfigError: Captum is not installed.
    """
    attr = import_optional("captum.attr", title="Integrated gradients", install=install_command("explain"))
    patches_BPM = opened.patches_BPM.detach()
    mean_BPM = patches_BPM.mean(dim=1, keepdim=True).expand_as(patches_BPM).contiguous()
    with torch.no_grad():
        start_BH = opened.forecast(patches_BPM=mean_BPM)
        way_BH = opened.forecast(patches_BPM=patches_BPM) - start_BH
    distance_B = way_BH.norm(dim=1)
    direction_BH = way_BH / distance_B[:, None].clamp(min=torch.finfo(way_BH.dtype).tiny)

    def along(patches_BPM: Tensor) -> Tensor:
        return ((opened.forecast(patches_BPM=patches_BPM) - start_BH) * direction_BH).sum(dim=1)

    # One point of the way at a time, because the windows' prompts were read for a batch of this size.
    found_BPM = attr.IntegratedGradients(along).attribute(
        patches_BPM, baselines=mean_BPM, n_steps=steps, internal_batch_size=len(patches_BPM)
    )
    return Attributions(found_BPM.sum(dim=2).detach().float().cpu().numpy(), distance_B.float().cpu().numpy())
