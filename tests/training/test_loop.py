"""The training loop: what it keeps, when it ends, and what it says on the way."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.conftest import windows_of
from timellm.config import TrainingConfig
from timellm.errors import ConfigError
from timellm.training.clock import Clock
from timellm.training.evaluation import forecast_windows
from timellm.training.loop import train
from timellm.training.schedule import rate
from timellm.training.step import TrainingWindows

CONTEXT, HORIZON = 16, 4


@pytest.fixture
def windows() -> TrainingWindows:
    rows = np.arange(300)
    values = np.stack([np.sin(rows / 5), np.cos(rows / 7)], axis=1)
    return windows_of(values, (200, 50, 50), context=CONTEXT, horizon=HORIZON)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(CONTEXT, HORIZON)


def run(network, windows, *, should_stop=lambda: False, first=False, **settings):
    """Train; returns the result, the reports, and the weights at each save."""
    saved, reports = [], []
    result = train(
        network,
        windows,
        TrainingConfig(**({"steps": 40, "learning_rate": 0.05, "validations": 4} | settings)),
        save_best=lambda: saved.append(network.weight.detach().clone()),
        on_progress=reports.append,
        should_stop=should_stop,
        validate_first=first,
    )
    return result, reports, saved


def test_training_lowers_the_validation_error_and_keeps_the_best(network, windows):
    result, reports, saved = run(network, windows)
    errors = [report.validation_loss for report in reports if report.validation_loss is not None]
    assert len(errors) == 4 and result.steps == 40
    assert errors[-1] < errors[0]
    assert result.best_validation_loss == min(errors)
    assert len(saved) == sum(error < min(errors[:i], default=math.inf) for i, error in enumerate(errors))


@pytest.mark.parametrize("sure", [True, False])
def test_a_step_that_is_not_surely_better_does_not_replace_the_start(network, windows, monkeypatch, sure):
    asked = []
    monkeypatch.setattr(
        "timellm.training.choice.is_surely_lower",
        lambda loss_W, start_W, **_: asked.append((loss_W.mean(), start_W.mean())) or sure,
    )
    result, reports, saved = run(network, windows, first=True)
    errors = [report.validation_loss for report in reports if report.validation_loss is not None]
    assert len(errors) == 5 and min(errors) < errors[0]
    assert all(start == pytest.approx(errors[0]) and loss < start for loss, start in asked)
    assert (result.best_step > 0) == sure and (len(saved) > 1) == sure
    assert result.best_validation_loss == (min(errors) if sure else errors[0])


def test_what_is_learned_is_surely_better_than_a_bad_start(network, windows):
    result, _, saved = run(network, windows, first=True)
    assert result.best_step > 0 and len(saved) > 1


def test_same_seed_gives_the_same_weights(windows):
    weights = []
    for _ in range(2):
        torch.manual_seed(0)
        network = nn.Linear(CONTEXT, HORIZON)
        run(network, windows, steps=5)
        weights.append(network.weight.detach().clone())
    assert torch.equal(*weights)


def test_patience_ends_a_run_that_does_not_improve(network, windows):
    network.requires_grad_(False)
    frozen = nn.Sequential(network, nn.Dropout(0.0))
    frozen.weight = network.weight
    frozen.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    frozen.forward = lambda x: network(x) + 0 * frozen.unused
    result, _, saved = run(frozen, windows, steps=100, validations=20, patience=3)
    assert result.early and not result.stopped
    assert result.steps == 20 and len(saved) == 1  # one that counts, three without gain


def test_patience_waits_while_errors_fall_though_no_step_is_surely_better(network, windows, monkeypatch):
    monkeypatch.setattr("timellm.training.choice.is_surely_lower", lambda *_, **__: False)
    result, reports, saved = run(network, windows, first=True, patience=1, validations=8)
    errors = [report.validation_loss for report in reports if report.validation_loss is not None]
    falling = next(i for i in range(1, len(errors)) if errors[i] >= min(errors[:i]) or i == len(errors) - 1)
    assert falling > 2 and len(errors) == falling + 1
    assert result.best_step == 0 and len(saved) == 1


def test_stop_validates_once_more_so_that_something_is_kept(network, windows):
    asked = iter([False] * 3 + [True] * 99)
    result, reports, saved = run(network, windows, should_stop=lambda: next(asked))
    assert result.stopped and result.steps == 3 and result.best_step == 3
    assert len(saved) == 1 and reports[-1].validation_loss == result.best_validation_loss


def test_stop_before_the_first_step_keeps_nothing(network, windows):
    result, _, saved = run(network, windows, should_stop=lambda: True)
    assert result.stopped and result.best_step == 0 and saved == []


def test_time_budget_ends_the_run_and_moves_the_schedule(network, windows, monkeypatch):
    # A clock that moves on by a tenth of a second each time it is read, so that no machine is too slow.
    readings = itertools.count()
    clock = partial(Clock, seconds=lambda: next(readings) / 10)
    monkeypatch.setattr("timellm.training.loop.Clock", clock)
    result, reports, _ = run(network, windows, steps=10_000_000, minutes=1)
    assert 50 < result.steps < 600 and result.best_step > 0
    rates = [report.learning_rate for report in reports if report.learning_rate]
    assert rates[-1] < 0.001 and max(rates) == pytest.approx(0.05, rel=0.1)


def test_divergence_names_the_step_and_the_remedy(network, windows):
    network.weight.data.fill_(math.nan)
    with pytest.raises(ConfigError, match=r"diverged at step 1: the loss is nan. Lower 'learning_rate' \(now 0.05\)$"):
        run(network, windows)


def test_every_window_is_drawn_once_an_epoch(network, windows):
    seen: list[torch.Tensor] = []
    network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]) if module.training else None)
    count = len(windows.training)
    run(network, windows, steps=-(-count // 32), batch_size=32, validations=1)
    drawn = torch.cat(seen)[:count]
    assert len(torch.unique(drawn, dim=0)) == count


def test_forecast_windows_hears_of_every_batch(network, windows):
    heard = []
    forecast = forecast_windows(network, windows.source, windows.training, on_batch=heard.append)
    assert forecast.shape == (len(windows.training), HORIZON)
    assert heard == sorted(heard) and heard[-1] == len(windows.training)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_rate_stays_between_nothing_and_the_peak(schedule):
    rates = [rate(share, peak=1.0, schedule=schedule) for share in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(1.0, abs=1e-3) and min(rates) > 0


def test_one_cycle_rises_for_three_tenths_and_falls_to_a_thousandth():
    rates = [rate(share, peak=2.0, schedule="one-cycle") for share in (0.0, 0.3, 1.0)]
    assert rates == pytest.approx([0.08, 2.0, 0.002])
