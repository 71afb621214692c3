"""Training that was cut off goes on to the same weights, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.conftest import windows_of
from timellm.config import TrainingConfig
from timellm.errors import CheckpointError
from timellm.training.loop import TrainingWindows, optimizer_for, train
from timellm.training.state import STATE, Standing, StateFile

CONTEXT, HORIZON = 16, 4
CONFIG = TrainingConfig(steps=24, batch_size=48, learning_rate=0.01, validations=4, patience=10)


class Killed(Exception):
    """What stands here for a process that ends."""


@pytest.fixture
def windows() -> TrainingWindows:
    values = np.random.default_rng(0).normal(size=(160, 2)).cumsum(axis=0)
    return windows_of(values, (100, 30, 30), context=CONTEXT, horizon=HORIZON)


class Trained:
    """A small network with dropout, which draws from the random state, and the weights that were its best."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(CONTEXT, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, HORIZON))
        self.best: dict[str, torch.Tensor] = {}

    def run(self, windows, folder=None, *, end_at=None, config=CONFIG, every=None, monkeypatch=None):
        state = StateFile(folder, belongs_to="this training") if folder else None
        if every is not None:
            monkeypatch.setattr(StateFile, "due", lambda _: True)

        def on_progress(progress) -> None:
            if progress.done == end_at and progress.learning_rate is not None:
                raise Killed

        return train(
            self.network, windows, config, save_best=lambda: self.best.update(self.weights()),
            on_progress=on_progress, should_stop=lambda: False, state=state,
        )  # fmt: skip

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: weight.clone() for name, weight in self.network.state_dict().items()}


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("end_at", [1, 5, 6, 7, 12, 13, 23])
@pytest.mark.parametrize("every", [None, "step"])
def test_training_that_was_cut_off_ends_in_the_same_weights(windows, tmp_path, monkeypatch, end_at, every):
    whole = Trained()
    expected = whole.run(windows)
    with pytest.raises(Killed):
        Trained().run(windows, tmp_path, end_at=end_at, every=every, monkeypatch=monkeypatch)
    torch.manual_seed(99)  # the new process starts anywhere
    again = Trained()
    result = again.run(windows, tmp_path)
    assert equal(again.weights(), whole.weights())
    assert (result.steps, result.best_step, result.best_validation_loss) == (
        expected.steps, expected.best_step, expected.best_validation_loss,
    )  # fmt: skip


def test_training_that_had_ended_is_not_trained_further(windows, tmp_path):
    first, again = Trained(), Trained()
    expected, result = first.run(windows, tmp_path), again.run(windows, tmp_path)
    assert equal(again.weights(), first.weights())
    assert (result.steps, result.best_step) == (expected.steps, expected.best_step)


def written(folder) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = Trained().network
    optimizer = optimizer_for(network, CONFIG)
    StateFile(folder, belongs_to="this training").write(network, optimizer, Standing(step=3))
    return network, optimizer


def test_state_of_another_training_is_refused(tmp_path):
    network, optimizer = written(tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a training with other settings"):
        StateFile(tmp_path, belongs_to="another").restore(network, optimizer)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_state_that_is_cut_short_is_refused(tmp_path, keep):
    network, optimizer = written(tmp_path)
    path = tmp_path / STATE
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(CheckpointError, match="is damaged"):
        StateFile(tmp_path, belongs_to="this training").restore(network, optimizer)


def test_state_of_a_network_of_another_shape_is_refused(tmp_path):
    written(tmp_path)
    other = nn.Linear(3, 2)
    with pytest.raises(CheckpointError, match="does not fit this run"):
        StateFile(tmp_path, belongs_to="this training").restore(other, optimizer_for(other, CONFIG))
