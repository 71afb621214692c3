"""The settings of a pre-training: those of the run that it belongs to, without what belongs to one table alone.

Inputs: a run's configuration, whose setting `pretrain` names the tables. Outputs: a configuration for the joined table
(timellm.data.joined), and what share of it each table gets. Nothing is read, and torch is not loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from timellm.config import RunConfig, TimeLLMConfig
from timellm.data.uploads import table_title
from timellm.errors import ConfigError

if TYPE_CHECKING:
    from timellm.data.usable import WindowCounts  # it would load pandas, and whoever queues runs needs none

_USUAL_SPLIT = "70%/10%/20%"


def joint_config(config: RunConfig) -> RunConfig:
    """The settings of a run's pre-training.

    Raises:
        ConfigError: a setting needs the calendar or the names of channels, which joined tables do not have.
    """
    forecaster, training = config.forecaster, config.trained
    changed: dict[str, Any] = {
        "pretrain": (), "pretrain_steps": None, "steps": training.pretrain_steps or training.steps, "pinned_windows": 0,
        "training_rows": None, "lower_bound": None, "upper_bound": None, "closed_weekdays": "", "tracker": "none",
    }  # fmt: skip
    if config.quantiles:
        changed["quantiles"] = ()  # they begin at the errors of the run's own table
    if isinstance(forecaster, TimeLLMConfig):
        if forecaster.tells_time:
            raise ConfigError(
                "setting 'pretrain' joins tables of different times, and the prompt is asked to tell the time or what"
                " is known ahead; switch off prompt_calendar, holiday_country, dated_notes and prompt_known"
            )
        changed |= {
            "linear_maps": "shared",
            "linear_features": "plain",
            "linear_fallback": "mean",
            "linear_others": "none",
        }
    if not config.task.split.endswith("%"):
        changed["split"] = _USUAL_SPLIT  # rows of one table mean nothing in another
    names = [table_title(Path(one)) for one in training.pretrain]
    data = {"path": " + ".join(names), "description": f"Series of {len(names)} tables: {', '.join(names)}."}
    return RunConfig.from_dict(config.to_dict() | {"data": data}).updated(**changed)


def balanced(windows: Sequence[int]) -> list[int]:
    """How many training windows each table gets: in proportion to the root of its number, as many as all together."""
    roots = np.sqrt(np.asarray(windows, np.float64))
    return [max(1, round(float(share))) for share in sum(windows) * roots / roots.sum()]


def without_windows(counts: WindowCounts) -> str:
    """Why a table cannot be pre-trained on, from the windows that it would have; empty if it can.

    Its test part is not needed.
    """
    only_test = counts.parts["test"].reason
    return "" if only_test and counts.reason.startswith(only_test) else counts.reason
