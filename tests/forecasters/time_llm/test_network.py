"""Properties of the assembled network, on every architecture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timellm.config import ModelConfig
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.errors import BackboneError
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.patching import patch_spans
from timellm.training.evaluation import forecast_windows

ARCHITECTURES = ("llama", "qwen2", "gpt2", "bert")


def build(folder, *, device: str = "cpu", **settings) -> TimeLLM:
    defaults = {
        "layers": 2,
        "context": 64,
        "horizon": 8,
        "d_model": 8,
        "d_ff": 8,
        "heads": 2,
        "prototypes": 16,
        "backbone_dtype": "float32",
    }
    config = ModelConfig(backbone=str(folder), **(defaults | settings))
    torch.manual_seed(0)
    backbone = load_backbone(config, device=device)
    return TimeLLM(config, backbone=backbone, description="Hourly load of a town.")


def windows(count: int = 7, context: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    scale = torch.logspace(-3, 3, count)[:, None]  # prompts of different lengths
    return torch.randn(count, context, generator=generator).cumsum(1) * scale


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forecast_does_not_depend_on_the_batch(backbones, architecture):
    network = build(backbones[architecture]).eval()
    x = windows()
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(x[i : i + 1]) for i in range(len(x))])
        reversed_ = network(x.flip(0)).flip(0)
    lengths = {len(ids) for ids in network.reader.backbone.token_ids(network.template.texts(x))}
    assert len(lengths) > 1, "prompts of one length would not test the padding"
    scale = x.std(dim=1, keepdim=True)
    torch.testing.assert_close(together / scale, alone / scale, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together / scale, reversed_ / scale, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("quantization", ["none", "4bit", "8bit"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_forecast_is_the_same_to_the_bit_whatever_it_is_asked_with(backbones, architecture, quantization):
    network = build(backbones[architecture], backbone_dtype="bfloat16", quantization=quantization)
    rows = windows(9).numpy()
    source = WindowSource(np.concatenate([rows, rows[:, :8]], axis=1).T, context=64, horizon=8)

    def forecast(*channels: int) -> np.ndarray:
        index = WindowIndex(np.array(channels), np.full(len(channels), 64), 0)
        return forecast_windows(network, source, index)

    together = forecast(*range(9))
    np.testing.assert_array_equal(together, np.concatenate([forecast(i) for i in range(9)]))
    np.testing.assert_array_equal(together[[7, 0]], forecast(7, 0))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_cached_prompt_equals_prompt_and_patches_in_one_pass(backbones, architecture):
    network = build(backbones[architecture]).eval()
    backbone = network.reader.backbone
    prompt = backbone.token_ids(["Input statistics: min value -1.25"])[0]
    patches = torch.randn(1, 5, backbone.width)
    with torch.no_grad():
        words = backbone.model.get_input_embeddings()(torch.tensor([prompt]))
        whole = backbone.model(inputs_embeds=torch.cat([words, patches], dim=1)).last_hidden_state[:, len(prompt) :]
        cached = network.reader([prompt, prompt[:-2]], patches_BPD=patches.expand(2, -1, -1))[:1]
    torch.testing.assert_close(cached, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_step_changes_every_adapter_and_nothing_of_the_backbone(backbones, architecture):
    network = build(backbones[architecture], dropout=0.0).train()
    frozen = {name: tensor.clone() for name, tensor in network.reader.backbone.model.state_dict().items()}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    network(windows()).square().mean().backward()
    optimizer.step()
    for name, tensor in network.reader.backbone.model.state_dict().items():
        assert torch.equal(tensor, frozen[name]), f"{name} of the frozen backbone moved"
    for name, tensor in network.state_dict().items():
        assert not torch.equal(tensor, before[name]), f"{name} did not train"


def test_saved_tensors_are_exactly_the_adapters(tiny_backbone):
    assert set(build(tiny_backbone).state_dict()) == {
        "patch_embedding.convolution.weight",
        "prototypes.weight",
        *(f"reprogramming.{part}.{leaf}" for part in ("query", "key", "value", "out") for leaf in ("weight", "bias")),
        "reprogramming.log_sharpness",
        "head.linear.weight",
        "head.linear.bias",
    }


def test_direct_prototypes_start_where_the_map_starts(tiny_backbone):
    direct, mapped = (
        build(tiny_backbone, prototype_start="map", prototype_source=source) for source in ("direct", "map")
    )
    torch.testing.assert_close(direct.prototypes(), mapped.prototypes())


def test_patches_cover_the_context(tiny_backbone):
    network = build(tiny_backbone)
    spans = patch_spans(64, patch_length=16, stride=8)
    assert len(spans) == network.config.patches == network.patch_embedding(windows()).shape[1]
    assert spans[0] == (0, 16) and spans[-1] == (56, 64)


def test_prompt_too_long_for_the_backbone_says_by_how_much(backbones):
    network = build(backbones["bert"])
    network.template = type(network.template)("load " * 600, network.config)
    with pytest.raises(BackboneError, match=r"reads at most 512 tokens.*too many\. Shorten 'description'"):
        network(windows())
