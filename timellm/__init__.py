"""Time-LLM: forecasting with a frozen language model whose input patches are reprogrammed into text prototypes.

table = timellm.read_table("demand.csv")
result = timellm.fit(timellm.RunConfig.create("demand.csv", horizon=24), run_dir="checkpoints/demand")
forecast = timellm.Forecaster.load("checkpoints/demand").forecast()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timellm.config import RunConfig
    from timellm.data.table import read_table
    from timellm.forecasting.fitted import FittedRun as Forecaster
    from timellm.pipeline import fit

__version__ = "0.1.0"
__all__ = ["Forecaster", "RunConfig", "fit", "read_table"]

_HOMES = {
    "Forecaster": ("timellm.forecasting.fitted", "FittedRun"),
    "RunConfig": ("timellm.config", "RunConfig"),
    "fit": ("timellm.pipeline", "fit"),
    "read_table": ("timellm.data.table", "read_table"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds, and a page or `--help` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'timellm' has no attribute '{name}'")
    module, own_name = _HOMES[name]
    return getattr(importlib.import_module(module), own_name)
