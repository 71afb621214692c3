"""TimesFM 2.5: a decoder over patches of 32 rows (Das et al., ICML 2024), as Transformers has it.

It forecasts 128 rows at once; longer horizons are rolled: its median is put after the context, and the next 128 follow.

Shapes: B batch, T context, H horizon, Q quantiles.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from timellm.config import TimesFMConfig
from timellm.forecasters.hub_weights import open_model
from timellm.forecasters.zero_shot import Source, ZeroShotForecaster


class TimesFMForecaster(ZeroShotForecaster):
    """Weights from a model hub or a local folder; the code is that of Transformers."""

    title: ClassVar[str] = "TimesFM 2.5"
    module: ClassVar[str] = "transformers"
    package: ClassVar[str] = "transformers"
    section: ClassVar[type[TimesFMConfig]] = TimesFMConfig

    def __init__(self, model: Any, source: Source) -> None:
        super().__init__(model, source)
        self.never_below_zero = bool(model.config.infer_is_positive)

    @classmethod
    def install(cls) -> str:
        """The command that brings the pinned Transformers back: they are no optional package."""
        return "pip install -r requirements.txt"

    @classmethod
    def open_weights(cls, weights: str, *, revision: str | None) -> tuple[Any, str | None]:
        """The model, in float32."""
        from transformers import TimesFm2_5ModelForPrediction

        return open_model(
            TimesFm2_5ModelForPrediction,
            weights,
            title=cls.title,
            revision=revision,
            is_right=lambda config: getattr(config, "model_type", None) == "timesfm2_5",
        )

    @property
    def quantile_levels(self) -> tuple[float, ...]:
        """The levels that the model was trained for."""
        return tuple(self.model.config.quantiles)

    @torch.inference_mode()
    def quantiles_of(self, context_BT: np.ndarray, *, horizon: int) -> np.ndarray:
        """Quantiles [B, H, Q], block after block."""
        median = self.quantile_levels.index(0.5)
        history_BT = torch.from_numpy(context_BT).to(self.model.device)
        blocks: list[Tensor] = []
        done = 0
        while done < horizon:
            block_BHQ = self._block(history_BT)
            blocks.append(block_BHQ)
            done += block_BHQ.shape[1]
            history_BT = torch.cat([history_BT, block_BHQ[..., median]], dim=1)[:, -context_BT.shape[1] :]
        return torch.cat(blocks, dim=1)[:, :horizon].float().cpu().numpy()

    def _block(self, history_BT: Tensor) -> Tensor:
        """Quantiles [B, 128, Q] of the rows that follow.

        The model fills a history that ends no patch with zeros in front, and its mean and deviation would count them:
        the oldest rows are left out instead. It would also keep the whole batch above zero if all of it is, so that a
        forecast would depend on the other windows: the caller does that window by window.
        """
        patch, most = self.model.config.patch_length, self.model.config.context_length
        rows = min(history_BT.shape[1], most)
        rows = max(rows - rows % patch, patch)
        found = self.model(past_values=list(history_BT[:, -rows:]), forecast_context_len=rows, truncate_negative=False)
        return found.full_predictions[..., 1:]  # the first is the mean
