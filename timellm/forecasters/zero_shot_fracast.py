"""Fracast: 85,001 weights that come with their package and forecast without training.

It forecasts 48 rows at once; longer horizons are rolled: its median is put after the context, and the next 48 follow.
Source: the package `fracast` 0.1.0 (Apache-2.0).

Shapes: B batch, T context, H horizon, Q quantiles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from timellm.config import FracastConfig
from timellm.errors import BackboneError
from timellm.forecasters.zero_shot import ZeroShotForecaster
from timellm.training.checkpoint import device_of


class FracastForecaster(ZeroShotForecaster):
    """The package's own weights, unless a local folder with others is given."""

    title: ClassVar[str] = "Fracast"
    module: ClassVar[str] = "fracast"
    package: ClassVar[str] = "fracast"
    section: ClassVar[type[FracastConfig]] = FracastConfig
    batch: ClassVar[int] = 8
    """It reads 2,048 rows of every window: more windows no longer fit the processor's cache (a quarter slower)."""

    @classmethod
    def open_weights(cls, weights: str, *, revision: str | None) -> tuple[Any, str | None]:
        """The model with the float32 weights of the package or of a folder; nothing is fetched."""
        from fracast import FracastModel

        folder = Path(weights).expanduser() if weights else None
        if folder is not None and not (folder / "model.safetensors").is_file():
            raise BackboneError(
                f"{weights} is no folder with config.json and model.safetensors of Fracast; leave 'weights' empty to"
                " use those of the package"
            )
        try:
            return FracastModel.from_pretrained(folder, weights="fp32", device=device_of("auto")), None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise BackboneError(
                f"the weights of Fracast in {weights or 'its package'} cannot be read ({error}); install the package"
                " again, or give another folder"
            ) from error

    @property
    def quantile_levels(self) -> tuple[float, ...]:
        """The levels that the model was trained for."""
        return tuple(self.model.quantiles)

    def quantiles_of(self, context_BT: np.ndarray, *, horizon: int) -> np.ndarray:
        """Quantiles [B, H, Q], rolled by the package itself."""
        return self.model.forecast_batch(context_BT, horizon=horizon)
