"""nf4 and int8 on a GPU: the gradient at the patches is that of the weights that the storage stands for."""

from __future__ import annotations

import pytest
import torch

from tests.forecasters.time_llm.test_network import build, windows
from tests.forecasters.time_llm.test_quantization import ARCHITECTURES, alike, check_gradients, gradient, load
from tests.gpu.conftest import DEVICE

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_float32")]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradient_at_the_patches_is_that_of_the_dequantised_weights(backbones, architecture, quantization, dtype):
    check_gradients(load(backbones[architecture], quantization, dtype, device=DEVICE))


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("name", ["smollm2-135m", "all-minilm-l6-v2"])
def test_gradient_of_a_real_backbone_is_that_of_its_dequantised_weights(name, quantization):
    check_gradients(load(name, quantization, layers=6, device=DEVICE))


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_storage_is_that_of_the_cpu(backbones, architecture, quantization):
    """The same weights are rounded to the same levels, so that a run trained here forecasts the same there."""
    on_gpu = gradient(load(backbones[architecture], quantization, device=DEVICE)).cpu()
    on_cpu = gradient(load(backbones[architecture], quantization))
    assert alike(on_gpu, on_cpu) > 0.999


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_step_moves_the_adapters_alone(backbones, architecture, quantization):
    network = build(backbones[architecture], device=DEVICE, quantization=quantization, dropout=0.0).train()
    frozen = {name: tensor.clone() for name, tensor in network.reader.backbone.model.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    network(windows().to(DEVICE)).square().mean().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())
    optimizer.step()
    for name, tensor in network.reader.backbone.model.state_dict().items():
        assert torch.equal(tensor, frozen[name]), f"{name} of the frozen backbone moved"
