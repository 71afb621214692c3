"""The published model's golden numbers on a GPU, in float32 with its fused attention."""

from __future__ import annotations

import pytest
import torch

from tests.forecasters.time_llm.golden import ARCHITECTURES, Golden, ours
from tests.forecasters.time_llm.test_network import build, windows
from tests.forecasters.time_llm.test_parity import TENSORS, relative
from tests.gpu.conftest import DEVICE

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.usefixtures("exact_float32"),
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_golden_numbers_are_matched(architecture):
    """With the golden prompts: the last digits of our own are the rounding of the device that summed them."""
    golden = Golden(architecture)
    tensors, facts = ours(golden, device=DEVICE, prompts=golden.prompts)
    assert facts["token_ids"] == golden.token_ids
    assert facts["loss"] == pytest.approx(golden.facts["mean_loss"], rel=1e-4)
    assert relative(tensors["output.y"], golden.by_channel("output.y")) < 1e-4
    for name in TENSORS:
        theirs = golden.tensors[name]
        assert relative(tensors[name], theirs if name == "prototypes" else theirs.flatten(0, 1)) < 1e-4, name
    gradients = [name for name in golden.tensors if name.startswith("grad.")]
    assert gradients
    for name in gradients:
        if name == "grad.reprogramming_layer.key_projection.bias":  # its true gradient is zero
            assert tensors[name].abs().max() < 1e-4
        else:
            assert relative(tensors[name], golden.tensors[name]) < 1e-4, name


def test_attention_of_the_backbone_is_the_fused_one(tiny_backbone):
    network = build(tiny_backbone, device=DEVICE)
    assert network.reader.backbone.model.config._attn_implementation == "sdpa"


def test_prompts_written_on_the_gpu_are_those_of_the_cpu(tiny_backbone):
    """Three digits and lags without mirror pairs: nothing hangs on the last bit of a sum."""
    x = windows(64)
    on_gpu, on_cpu = (
        build(tiny_backbone, device=device, backbone_dtype="float32").template for device in (DEVICE, "cpu")
    )
    normed = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
    assert on_gpu.texts(normed.to(DEVICE)) == on_cpu.texts(normed)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2", "bert"])
def test_forecast_is_that_of_the_cpu(backbones, architecture):
    x = windows()
    with torch.no_grad():
        on_gpu = build(backbones[architecture], device=DEVICE).eval()(x.to(DEVICE)).cpu()
        on_cpu = build(backbones[architecture]).eval()(x)
    assert relative(on_gpu / x.std(1, keepdim=True), on_cpu / x.std(1, keepdim=True)) < 1e-4
