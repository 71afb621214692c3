"""The published model's golden numbers on three architectures; see timellm.model for what each name means."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import SHARED
from timellm.config import ModelConfig
from timellm.model.backbone import load_backbone
from timellm.model.network import TimeLLM
from timellm.model.patching import instance_norm

PARITY = SHARED / "parity"
PUBLISHED_NAMES = {
    "prototypes.map": "mapping_layer",
    "head.linear": "output_projection.linear",
    "patch_embedding.convolution": "patch_embedding.value_embedding.tokenConv",
    "reprogramming.query": "reprogramming_layer.query_projection",
    "reprogramming.key": "reprogramming_layer.key_projection",
    "reprogramming.value": "reprogramming_layer.value_projection",
    "reprogramming.out": "reprogramming_layer.out_projection",
}

pytestmark = pytest.mark.skipif(not PARITY.is_dir(), reason=f"the golden numbers are not at {PARITY}")


class Golden:
    """One architecture's golden numbers, and our network with its weights; windows are channel after channel."""

    def __init__(self, architecture: str) -> None:
        folder = PARITY / architecture
        self.facts = json.loads((folder / "golden.json").read_text())
        self.tensors = load_file(folder / "golden.safetensors")
        self.prompts = [prompt for window in self.facts["prompts"] for prompt in window]
        config = ModelConfig(
            backbone=str(folder / "backbone"),
            layers=self.facts["backbone_layers_used"],
            backbone_dtype="float32",
            context=self.facts["context_length"],
            horizon=self.facts["horizon"],
            d_model=self.facts["d_model"],
            d_ff=self.facts["d_ff"],
            heads=self.facts["num_heads"],
            prototypes=self.facts["num_prototypes"],
            prototype_source="map",
            prompt_style="paper",
            round_patches=True,
        )
        backbone = load_backbone(config, device="cpu")
        self.network = TimeLLM(config, backbone=backbone, description=self.facts["dataset_description"]).eval()
        weights = {}
        for name in self.network.state_dict():
            part, leaf = name.rsplit(".", 1)
            weights[name] = self.tensors[f"adapter.{PUBLISHED_NAMES[part]}.{leaf}"]
        self.network.load_state_dict(weights)
        self.template = self.network.template

    def by_channel(self, name: str) -> torch.Tensor:
        """[B, L, N] -> [B * N, L]."""
        return self.tensors[name].transpose(1, 2).flatten(0, 1)

    def with_golden_prompts(self) -> TimeLLM:
        """The network, told the golden prompts: their last digits depend on the processor that summed them."""
        prompts = iter(self.prompts)
        golden = type("GoldenPrompts", (), {"texts": staticmethod(lambda x: [next(prompts) for _ in x])})
        self.network.template = golden
        return self.network


@pytest.fixture(scope="module", params=["gpt2", "bert", "llama"])
def golden(request) -> Golden:
    return Golden(request.param)


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.detach() - theirs).norm() / theirs.norm())


def test_prompt_tokens_equal_the_golden_ones(golden):
    ids = [ids for window in golden.facts["prompt_token_ids"] for ids in window]
    assert golden.network.reader.backbone.token_ids(golden.prompts) == ids


def test_prompt_text_equals_the_golden_one_but_for_last_digits(golden):
    normed, _, _ = instance_norm(golden.by_channel("input.x"))
    for text, expected in zip(golden.template.texts(normed), golden.prompts, strict=True):
        words, golden_words = text.split(), expected.split()
        assert len(words) == len(golden_words)
        for word, other in zip(words, golden_words, strict=True):
            if word != other:
                # A statistic, equal within float32, or a lag of a mirror pair that leads by the last bit.
                mine, theirs = (float(re.match(r"\[?(-?[\d.]+)", part)[1]) for part in (word, other))
                assert mine == pytest.approx(theirs, abs=2e-6) or {mine, theirs} <= set(range(96))


def test_prototypes_patches_and_attention_match(golden):
    network = golden.network
    normed, _, _ = instance_norm(golden.by_channel("input.x"))
    prototypes = network.prototypes()
    patches = network.patch_embedding(network.patch_input(normed))
    attention = network.reprogramming.attention(patches, prototypes_VD=prototypes)
    assert relative(prototypes, golden.tensors["prototypes"]) < 1e-4
    assert relative(patches, golden.tensors["patch_embedding"].flatten(0, 1)) < 1e-4
    assert relative(attention, golden.tensors["attention"].flatten(0, 1)) < 1e-4
    reprogrammed = network.reprogramming(patches, prototypes_VD=prototypes)
    assert relative(reprogrammed, golden.tensors["reprogrammed"].flatten(0, 1)) < 1e-4


def test_forecast_loss_and_gradients_match(golden):
    network = golden.with_golden_prompts()
    forecast = network(golden.by_channel("input.x"))
    assert relative(forecast, golden.by_channel("output.y")) < 1e-4
    loss = torch.nn.functional.mse_loss(forecast, golden.by_channel("input.target"))
    assert loss.item() == pytest.approx(golden.facts["mean_loss"], rel=1e-4)
    loss.backward()
    for name, parameter in network.named_parameters():
        part, leaf = name.rsplit(".", 1)
        theirs = golden.tensors[f"grad.{PUBLISHED_NAMES[part]}.{leaf}"]
        if name == "reprogramming.key.bias":
            # Softmax does not notice it: its true gradient is zero, and both sides hold rounding noise.
            assert parameter.grad.abs().max() < 1e-4 and theirs.abs().max() < 1e-4
        else:
            assert relative(parameter.grad, theirs) < 1e-4, name
