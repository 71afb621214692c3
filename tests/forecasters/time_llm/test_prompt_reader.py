"""Prompts are read once, in passes of one shape, and what was read is kept for a training up to a bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timellm.config import ModelConfig
from timellm.forecasters.time_llm import prompt_reader
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.prompt_reader import KeptPrompts

CAUSAL = ("llama", "qwen2", "gpt2")
SIZES = {
    "layers": 2,
    "context": 64,
    "horizon": 8,
    "d_model": 8,
    "d_ff": 8,
    "heads": 2,
    "prototypes": 16,
    "dropout": 0.0,
}


def build(folder, **settings) -> TimeLLM:
    config = ModelConfig(backbone=str(folder), **({"backbone_dtype": "bfloat16"} | SIZES | settings))
    torch.manual_seed(0)
    return TimeLLM(config, backbone=load_backbone(config, device="cpu"), description="Hourly load of a town.")


def windows(count: int, *, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 64, generator=generator).cumsum(1)


def forecast(network: TimeLLM, x: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network.eval()(x).numpy()


@pytest.fixture
def passes(monkeypatch):
    """Prompts of each pass, without those that fill it up."""
    found: list[int] = []
    read = prompt_reader.PromptReader._pass

    def counted(self, part, **size):
        found.append(len(part))
        return read(self, part, **size)

    monkeypatch.setattr(prompt_reader.PromptReader, "_pass", counted)
    return found


@pytest.mark.parametrize("quantization", ["none", "8bit", "4bit"])
@pytest.mark.parametrize("architecture", CAUSAL)
def test_forecast_is_the_same_to_the_bit_when_its_prompt_was_kept(backbones, architecture, quantization):
    network = build(backbones[architecture], quantization=quantization)
    x, others = windows(20), windows(20, seed=2)
    fresh = forecast(network, x)
    with network.keeping_prompts():
        network.train()(torch.cat([others, x[:7]]))  # read beside others, and not settled
        first, again = forecast(network, x), forecast(network, x)
    np.testing.assert_array_equal(first, fresh)
    np.testing.assert_array_equal(again, fresh)


def steps(network: TimeLLM) -> dict[str, torch.Tensor]:
    """The weights after three steps on few windows, with a validation between."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for number in range(3):
        optimizer.zero_grad()
        network.train()(windows(12, seed=number % 2)).square().mean().backward()
        optimizer.step()
        forecast(network, windows(9))
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_training_ends_at_the_same_weights_to_the_bit_whether_prompts_are_kept_or_not(tiny_backbone):
    plain, kept = steps(build(tiny_backbone)), build(tiny_backbone)
    with kept.keeping_prompts():
        with_kept = steps(kept)
    assert all(torch.equal(with_kept[name], plain[name]) for name in plain)


def test_a_prompt_of_many_windows_is_read_once(tiny_backbone, passes):
    network = build(tiny_backbone)
    x = windows(3)[torch.tensor([0, 1, 2] * 10)]
    forecast(network, x)
    assert sum(passes) == 3
    with network.keeping_prompts():
        forecast(network, x)
        forecast(network, x)
    assert sum(passes) == 6
    forecast(network, x)
    assert sum(passes) == 9, "nothing is kept after that"


def test_a_prompt_that_the_examples_did_not_foresee_leaves_those_beside_it_as_they_were(tiny_backbone):
    network = build(tiny_backbone)
    x, ids = windows(4), network.reader.backbone.token_ids
    own = network.template.texts(torch.nn.functional.normalize(x))
    assert network.reader.shared_ids
    patches = torch.randn(4, 8, network.reader.backbone.width)
    with torch.inference_mode():
        alike = network.reader(ids(own), patches_BPD=patches, settled=True)
        mixed = network.reader(ids([*own[:3], "min 1"]), patches_BPD=patches, settled=True)
    assert torch.equal(mixed[:3], alike[:3])
    assert not torch.equal(mixed[3], alike[3])


def layers(numbers: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of one layer, of so many numbers together."""
    key, value = torch.zeros(2, 1, numbers // 2, 1)
    return [(key, value)]


def test_kept_prompts_stay_within_their_bytes():
    kept = KeptPrompts(4 * 100)
    for number in range(10):
        kept.add((number,), layers(30), lasting=False)
    assert [kept.get((number,), lasting=False) is not None for number in range(10)] == [True] * 3 + [False] * 7


def test_prompts_that_last_take_the_place_of_others_and_of_no_lasting_one():
    kept = KeptPrompts(4 * 100)
    for number in range(3):
        kept.add((number,), layers(30), lasting=False)
    assert kept.get((2,), lasting=True) is not None  # lasts from now on
    for number in (10, 11, 12):
        kept.add((number,), layers(30), lasting=True)
    held = {number for number in (0, 1, 2, 10, 11, 12) if kept.get((number,), lasting=False) is not None}
    assert held == {2, 10, 11}
