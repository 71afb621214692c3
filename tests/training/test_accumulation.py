"""A batch worked through in parts: the same gradient as in one piece, and the same loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.conftest import windows_of
from timellm.config import ModelConfig, TrainingConfig
from timellm.data.source import WindowSource
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.training.loop import train
from timellm.training.processes import join_processes
from timellm.training.step import TrainingWindows, accumulate

CONTEXT, HORIZON, BATCH = 48, 12, 10


@pytest.fixture(scope="module")
def windows() -> TrainingWindows:
    rows = np.arange(300)
    noise = np.random.default_rng(0).normal(0, 0.3, (300, 2))
    values = np.stack([np.sin(rows / 5), np.cos(rows / 7)], axis=1) + noise
    return windows_of(values, (200, 50, 50), context=CONTEXT, horizon=HORIZON)


def network(folder, dtype: str) -> TimeLLM:
    """Without dropout: parts would draw other masks than the whole."""
    config = ModelConfig(
        backbone=str(folder), layers=2, backbone_dtype=dtype, context=CONTEXT, horizon=HORIZON, d_model=8, d_ff=8,
        heads=2, prototypes=20, dropout=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    return TimeLLM(config, backbone=load_backbone(config, device="cpu"), description="Hourly load.").train()


def gradients(model: torch.nn.Module, windows: TrainingWindows, **settings) -> tuple[torch.Tensor, float]:
    """Every trained weight's gradient in one row, and the loss that is reported."""
    model.zero_grad()
    config = TrainingConfig(batch_size=BATCH, **settings)
    loss, _ = accumulate(join_processes(torch.device("cpu")), model, windows, np.arange(BATCH) * 15, config)
    return torch.cat([weight.grad.flatten() for weight in model.parameters()]), loss


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("parts", [3, 4])
def test_uneven_parts_sum_to_the_gradient_of_the_whole_batch(tiny_backbone, windows, parts, loss):
    model = network(tiny_backbone, "float32")
    whole, loss_of_all = gradients(model, windows, loss=loss)
    divided, reported = gradients(model, windows, loss=loss, accumulation=parts)
    assert relative(divided, whole) < 1e-6
    assert reported == pytest.approx(loss_of_all, rel=1e-6)


@pytest.mark.parametrize("parts", range(2, BATCH + 1))
def test_any_number_of_parts_is_exact_where_rounding_does_not_hide_it(windows, parts):
    class InDouble(WindowSource):
        def gather(self, channel, *, origin):
            return tuple(tensor.double() for tensor in super().gather(channel, origin=origin))

    torch.manual_seed(0)
    model = torch.nn.Linear(CONTEXT, HORIZON, dtype=torch.float64)
    values_RN = windows.source._past.values_NR.T.numpy()
    double = replace(windows, source=InDouble(values_RN, context=CONTEXT, horizon=HORIZON))
    whole, loss_of_all = gradients(model, double, loss="huber")
    divided, reported = gradients(model, double, loss="huber", accumulation=parts)
    assert relative(divided, whole) < 1e-12
    assert reported == pytest.approx(loss_of_all, rel=1e-12)


def test_batch_is_divided_into_nearly_equal_parts(tiny_backbone, windows):
    model = network(tiny_backbone, "float32")
    sizes: list[int] = []
    hook = model.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    gradients(model, windows, accumulation=4)
    hook.remove()
    assert sizes == [3, 3, 2, 2]


def test_parts_in_bfloat16_differ_by_its_rounding_alone(tiny_backbone, windows):
    model = network(tiny_backbone, "bfloat16")
    whole, loss_of_all = gradients(model, windows)
    divided, reported = gradients(model, windows, accumulation=3)
    exact, _ = gradients(network(tiny_backbone, "float32"), windows)
    assert relative(divided, whole) < relative(whole, exact) + 1e-6
    assert reported == pytest.approx(loss_of_all, rel=0.02)


def test_training_in_parts_gives_the_weights_of_training_in_one_piece(tiny_backbone, windows):
    """Adam divides by the gradient's size, so that a difference of 1e-7 can turn a tiny step."""
    weights = []
    for parts in (1, 3):
        model = network(tiny_backbone, "float32")
        config = TrainingConfig(steps=6, batch_size=8, accumulation=parts, validations=1, learning_rate=1e-3)
        train(model, windows, config, save_best=lambda: None, on_progress=lambda _: None, should_stop=lambda: False)
        weights.append(torch.cat([weight.detach().flatten() for weight in model.parameters()]))
    assert relative(weights[1], weights[0]) < 1e-3


def test_batch_larger_than_the_table_is_still_divided(tiny_backbone, windows):
    few = TrainingWindows(windows.source, windows.training.evenly(3), windows.validation.evenly(3))
    config = TrainingConfig(steps=1, batch_size=8, accumulation=8, validations=1)
    result = train(
        network(tiny_backbone, "float32"), few, config,
        save_best=lambda: None, on_progress=lambda _: None, should_stop=lambda: False,
    )  # fmt: skip
    assert result.steps == 1
