"""Training that was cut off goes on to the same weights, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.conftest import windows_of
from timellm.config import RunConfig, TrainingConfig
from timellm.errors import CheckpointError
from timellm.training.checkpoint import read_adapter, save_adapter
from timellm.training.loop import train
from timellm.training.state import STATE, Belonging, StateFile, TrainingPosition
from timellm.training.step import TrainingWindows, optimizer_for

CONTEXT, HORIZON = 16, 4
THIS = Belonging(RunConfig.create("a.csv"))
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

    def run(self, windows, folder=None, *, end_at=None, config=CONFIG, every=None, monkeypatch=None, first=False):
        state = StateFile(folder, THIS) if folder else None
        if every is not None:
            monkeypatch.setattr(StateFile, "due", lambda _: True)

        def on_progress(progress) -> None:
            if progress.done == end_at and progress.learning_rate is not None:
                raise Killed

        return train(
            self.network, windows, config, save_best=lambda: self.best.update(self.weights()),
            on_progress=on_progress, should_stop=lambda: False, state=state, validate_first=first,
        )  # fmt: skip

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: weight.clone() for name, weight in self.network.state_dict().items()}


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("end_at", [1, 5, 6, 7, 12, 13, 23])
@pytest.mark.parametrize("every", [None, "step"])
@pytest.mark.parametrize("first", [False, True])
def test_training_that_was_cut_off_ends_in_the_same_weights(windows, tmp_path, monkeypatch, end_at, every, first):
    whole = Trained()
    expected = whole.run(windows, first=first)
    with pytest.raises(Killed):
        Trained().run(windows, tmp_path, end_at=end_at, every=every, monkeypatch=monkeypatch, first=first)
    torch.manual_seed(99)  # the new process starts anywhere
    again = Trained()
    result = again.run(windows, tmp_path, first=first)
    assert equal(again.weights(), whole.weights())
    assert (result.steps, result.best_step, result.best_validation_loss) == (
        expected.steps, expected.best_step, expected.best_validation_loss,
    )  # fmt: skip


def whole_and_stopped(windows, folder, stops, config=CONFIG):
    """One training without interruption, and one that was stopped at each of `stops` and went on: results, networks,
    best weights in the folder, validation losses by step."""
    answers = []
    for name, stop_at in (("whole", ()), ("stopped", stops)):
        (folder / name).mkdir()
        history: dict[int, float] = {}
        for stop in (*stop_at, None):
            torch.manual_seed(0 if stop == (*stop_at, None)[0] else 99)  # a new process starts anywhere
            network, done = Trained().network, [0]

            def on_progress(progress, done=done, history=history) -> None:
                done[0] = progress.done
                if progress.validations_to is not None:
                    for step in [step for step in history if step > progress.validations_to]:
                        del history[step]
                if progress.validation_loss is not None:
                    history[progress.done] = progress.validation_loss

            result = train(
                network, windows, config, on_progress=on_progress,
                save_best=lambda name=name, network=network: save_adapter(folder / name, network),
                should_stop=lambda done=done, stop=stop: done[0] == stop,
                state=StateFile(folder / name, THIS),
            )  # fmt: skip
            assert result.stopped == (stop is not None)
        answers.append((result, network, read_adapter(folder / name), history))
    return answers


@pytest.mark.parametrize("stops", [(5, 11, 17), (6, 7, 8), (1, 2, 3), (13, 22, 23), (9, 14, 20)])
@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_stops_leave_no_trace_in_a_training_that_goes_on(windows, tmp_path, stops, rate):
    config = CONFIG.model_copy(update={"learning_rate": rate})
    whole, stopped = whole_and_stopped(windows, tmp_path, stops, config)
    for name in ("steps", "best_step", "best_validation_loss", "early"):
        assert getattr(stopped[0], name) == getattr(whole[0], name), name
    assert equal(stopped[1].state_dict(), whole[1].state_dict())
    assert equal(stopped[2], whole[2]), "the best weights in the folder"
    assert stopped[3] == whole[3], "the validations"


def test_stops_use_up_no_patience(windows, tmp_path):
    config = CONFIG.model_copy(update={"learning_rate": 0.5, "patience": 2, "validations": 12})
    whole, stopped = whole_and_stopped(windows, tmp_path, (1, 3, 5), config)
    assert stopped[0].steps == whole[0].steps
    assert stopped[3] == whole[3]


def test_stopped_training_that_does_not_go_on_keeps_the_best_of_its_stop(windows, tmp_path):
    network, losses, done = Trained().network, {}, [0]

    def on_progress(progress) -> None:
        done[0] = progress.done
        if progress.validation_loss is not None:
            losses[progress.done] = progress.validation_loss

    result = train(
        network, windows, CONFIG, save_best=lambda: save_adapter(tmp_path, network), on_progress=on_progress,
        should_stop=lambda: done[0] == 10, state=StateFile(tmp_path, THIS),
    )  # fmt: skip
    assert losses.keys() == {6, 10} and losses[10] < losses[6]
    assert (result.best_step, result.best_validation_loss) == (10, losses[10])
    assert equal(read_adapter(tmp_path), network.state_dict())


def test_training_that_had_ended_is_not_trained_further(windows, tmp_path):
    first, again = Trained(), Trained()
    expected, result = first.run(windows, tmp_path), again.run(windows, tmp_path)
    assert equal(again.weights(), first.weights())
    assert (result.steps, result.best_step) == (expected.steps, expected.best_step)


def written(folder) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = Trained().network
    optimizer = optimizer_for(network, CONFIG)
    StateFile(folder, THIS).write(network, optimizer, TrainingPosition(step=3))
    return network, optimizer


def test_state_of_another_training_is_refused(tmp_path):
    network, optimizer = written(tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a training with other settings"):
        StateFile(tmp_path, Belonging(THIS.config.updated(seed=1))).restore(network, optimizer)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_state_that_is_cut_short_is_refused(tmp_path, keep):
    network, optimizer = written(tmp_path)
    path = tmp_path / STATE
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(CheckpointError, match="is damaged"):
        StateFile(tmp_path, THIS).restore(network, optimizer)


def test_state_of_a_network_of_another_shape_is_refused(tmp_path):
    written(tmp_path)
    other = nn.Linear(3, 2)
    with pytest.raises(CheckpointError, match="does not fit this run"):
        StateFile(tmp_path, THIS).restore(other, optimizer_for(other, CONFIG))
