"""How long training waits where it does not lower the validation error of the forecast to which a network adds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from timellm.config import RunConfig, TrainingConfig
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.training.loop import train
from timellm.training.state import Belonging, StateFile
from timellm.training.step import TrainingWindows

HORIZON, TRAINED_ROWS = 4, 220
STEPS, VALIDATIONS = 24, 12


class Killed(Exception):
    """What stands here for a process that ends."""


class Shift(nn.Module):
    """Adds one number to the base in training, hardly learns another, and adds nothing in validations."""

    def __init__(self) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.ones(1))

    def forward(self, context_BT, *, base_BH):
        return base_BH + self.by * self.training


class ShiftWithFarQuantiles(Shift):
    """With quantiles whose loss is larger than that of the base."""

    quantile_levels = (0.1, 0.9)

    def forward(self, context_BT, *, base_BH, channel_B):
        forecast_BH = super().forward(context_BT, base_BH=base_BH)
        return torch.stack([forecast_BH, torch.full_like(forecast_BH, -9.0), torch.full_like(forecast_BH, 9.0)], dim=-1)


def windows(*, wrong_by: float) -> TrainingWindows:
    """Their base is wrong by this in training, and right in validation."""
    values = np.random.default_rng(0).normal(size=(400, 1))

    def base(index: WindowIndex) -> np.ndarray:
        exact_BH = np.stack([values[origin : origin + HORIZON, 0] for origin in index.origin])
        return exact_BH - wrong_by * (index.origin < TRAINED_ROWS)[:, None]

    training, validation = (
        WindowIndex(np.zeros(stop - start, np.int64), np.arange(start, stop), 0)
        for start, stop in ((20, TRAINED_ROWS), (TRAINED_ROWS, 380))
    )
    return TrainingWindows(WindowSource(values, context=8, horizon=HORIZON, base=base), training, validation)


def steps_of(
    data: TrainingWindows,
    *,
    patience: int,
    network: nn.Module | None = None,
    state: StateFile | None = None,
    kill_at: int = 0,
) -> int:
    """Steps until training ends; no validation is better than the one before the first step."""

    def on_progress(progress) -> None:
        if kill_at and progress.done == kill_at and progress.learning_rate is not None:
            raise Killed

    config = TrainingConfig(
        steps=STEPS, validations=VALIDATIONS, patience=patience, batch_size=4, learning_rate=1e-12, device="cpu"
    )
    result = train(
        network or Shift(), data, config, save_best=lambda: None, on_progress=on_progress,
        should_stop=lambda: False, state=state, validate_first=True,
    )  # fmt: skip
    assert result.adds_nothing and result.early == (result.steps < STEPS)
    return result.steps


@pytest.mark.parametrize(("patience", "waited"), [(1, 1), (4, 4), (5, 5)])
def test_training_waits_where_its_own_windows_gain(patience, waited):
    assert steps_of(windows(wrong_by=1.0), patience=patience) == waited * STEPS / VALIDATIONS


@pytest.mark.parametrize(("patience", "waited"), [(1, 1), (4, 2), (5, 3)])
@pytest.mark.parametrize("wrong_by", [0.0, 0.4])
def test_a_validation_counts_twice_where_its_own_windows_gain_nothing(patience, waited, wrong_by):
    assert steps_of(windows(wrong_by=wrong_by), patience=patience) == waited * STEPS / VALIDATIONS


@pytest.mark.parametrize("kill_at", [1, 2, 3, 4])
def test_what_its_windows_gained_outlives_a_kill(tmp_path, monkeypatch, kill_at):
    monkeypatch.setattr(StateFile, "due", lambda _: True)
    data = windows(wrong_by=0.4)

    def state() -> StateFile:
        return StateFile(tmp_path, Belonging(RunConfig.create("a.csv")))

    with pytest.raises(Killed):
        steps_of(data, patience=4, state=state(), kill_at=kill_at)
    assert steps_of(data, patience=4, state=state()) == steps_of(data, patience=4) == 4


def test_the_forecast_alone_says_what_was_gained_and_not_its_quantiles():
    steps = steps_of(windows(wrong_by=1.0), patience=4, network=ShiftWithFarQuantiles())
    assert steps == 4 * STEPS / VALIDATIONS
