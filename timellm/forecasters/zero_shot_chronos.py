"""Chronos-2: an encoder over patches (Ansari et al., 2025), from the package `chronos-forecasting`.

Each window is a group of its own, so that none is forecast with the help of another. Contexts are given as numbers, so
that the package has no timestamps to find a step between; horizons beyond its longest are rolled by the package.

Shapes: B batch, T context, H horizon, Q quantiles.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import torch

from timellm.config import ChronosConfig
from timellm.forecasters.hub_weights import open_model
from timellm.forecasters.zero_shot import ZeroShotForecaster


class ChronosForecaster(ZeroShotForecaster):
    """Weights from a model hub or a local folder; the code is the package's."""

    title: ClassVar[str] = "Chronos-2"
    module: ClassVar[str] = "chronos"
    package: ClassVar[str] = "chronos-forecasting"
    section: ClassVar[type[ChronosConfig]] = ChronosConfig

    @classmethod
    def open_weights(cls, weights: str, *, revision: str | None) -> tuple[Any, str | None]:
        """The package's pipeline around the model, in float32.

        Its own `from_pretrained` is not used: it would also load adapters that name another model to fetch.
        """
        from chronos import Chronos2Model, Chronos2Pipeline

        model, found_revision = open_model(
            Chronos2Model,
            weights,
            title=cls.title,
            revision=revision,
            is_right=lambda config: "Chronos2Model" in (getattr(config, "architectures", None) or ()),
        )
        return Chronos2Pipeline(model), found_revision

    @property
    def quantile_levels(self) -> tuple[float, ...]:
        """The levels that the model was trained for."""
        return tuple(self.model.quantiles)

    def quantiles_of(self, context_BT: np.ndarray, *, horizon: int) -> np.ndarray:
        """Quantiles [B, H, Q]."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="We recommend keeping prediction length")  # the user has chosen
            found = self.model.predict(
                torch.from_numpy(context_BT)[:, None],
                prediction_length=horizon,
                batch_size=len(context_BT),
                limit_prediction_length=False,
            )
        return torch.stack([one_1QH[0] for one_1QH in found]).transpose(1, 2).numpy()
