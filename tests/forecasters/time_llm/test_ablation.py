"""Time-LLM with one part replaced: it trains, comes back from disk the same, and no window depends on another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import timellm
from tests.conftest import SMALL
from tests.forecasters.time_llm.test_network import ARCHITECTURES, build, windows
from timellm.cli import main
from timellm.config import ModelConfig, RunConfig
from timellm.data.source import WindowSource
from timellm.data.windows import WindowIndex
from timellm.errors import ConfigError
from timellm.explain.attention import attention_map
from timellm.forecasters.time_llm.ablation import TrainedLayer
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.shape import backbone_shape
from timellm.forecasting.artifacts import RunFolder
from timellm.sizing.memory import trained_weights
from timellm.training.evaluation import forecast_windows

VARIANTS = {
    "no prompt": {"prompt_style": "none"},
    "no reprogramming": {"reprogramming": "linear"},
    "no language model": {"body": "none"},
    "one attention layer": {"body": "attention"},
    "one transformer block": {"body": "transformer_block"},
    "random weights": {"body": "random_weights"},
    "attention without a prompt": {"body": "attention", "prompt_style": "none"},
    "linear without a language model": {"reprogramming": "linear", "body": "none"},
}
each_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
READS_BACKBONE = ("no prompt", "no reprogramming", "random weights")
"""Variants that depend on the architecture: the others have a layer of their own in place of the language model."""


@pytest.fixture(scope="module")
def config(hourly_csv, tiny_backbone, tmp_path_factory) -> RunConfig:
    """A small run on few rows: nothing here depends on how many are scored."""
    table = tmp_path_factory.mktemp("tables") / "short.csv"
    pd.read_csv(hourly_csv).head(220).to_csv(table, index=False)
    return RunConfig.create(table, backbone=str(tiny_backbone), **SMALL)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """Trains a variant once, and gives its folder."""
    folders: dict[str, RunFolder] = {}

    def train(name: str) -> RunFolder:
        if name not in folders:
            run_dir = tmp_path_factory.mktemp("runs") / "run"
            timellm.fit(config.updated(**VARIANTS[name]), run_dir=run_dir)
            folders[name] = RunFolder(run_dir)
        return folders[name]

    return train


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_trains_and_a_loaded_one_forecasts_the_same(trained, name):
    folder = trained(name)
    summary = folder.summary()
    assert summary["steps"] == 8 and summary["best_step"] > 0
    pd.testing.assert_frame_equal(timellm.Forecaster.load(folder.path).forecast(), folder.future(), rtol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [("llama", name) for name in VARIANTS] + [(other, name) for other in ARCHITECTURES[1:] for name in READS_BACKBONE],
)
def test_forecast_is_the_same_to_the_bit_whatever_it_is_asked_with(backbones, architecture, name):
    network = build(backbones[architecture], backbone_dtype="bfloat16", **VARIANTS[name])
    rows = windows(3).numpy()
    source = WindowSource(np.concatenate([rows, rows[:, :8]], axis=1).T, context=64, horizon=8)

    def forecast(*channels: int) -> np.ndarray:
        return forecast_windows(network, source, WindowIndex(np.array(channels), np.full(len(channels), 64), 0))

    together = forecast(*range(3))
    assert np.isfinite(together).all()
    np.testing.assert_array_equal(together, np.concatenate([forecast(i) for i in range(3)]))
    np.testing.assert_array_equal(together[[2, 0]], forecast(2, 0))


@each_variant
def test_step_changes_every_trained_weight_and_nothing_of_the_backbone(tiny_backbone, variant):
    network = build(tiny_backbone, dropout=0.0, linear_path="none", **variant).train()
    frozen = {name: tensor.clone() for name, tensor in network.reader.backbone.model.state_dict().items()}
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    network(windows()).square().mean().backward()
    optimizer.step()
    backbone = network.reader.backbone.model.state_dict()
    assert all(torch.equal(backbone[name], tensor) for name, tensor in frozen.items())
    # All keys moved by the same change no weight of the attention.
    still = {name for name, tensor in network.state_dict().items() if torch.equal(tensor, before[name])}
    assert still <= {"reader.key.bias", "reprogramming.key.bias"}


@each_variant
def test_gradients_are_the_same_with_checkpointing(tiny_backbone, variant):
    gradients = []
    for checkpointed in (False, True):
        network = build(tiny_backbone, dropout=0.0, linear_path="none", **variant).train()
        if checkpointed:
            network.checkpoint_gradients()
        network(windows()).square().mean().backward()
        gradients.append({name: weight.grad for name, weight in network.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@each_variant
def test_count_of_trained_weights_is_the_networks(tiny_backbone, variant):
    network = build(tiny_backbone, **variant)
    trained = sum(weight.numel() for weight in network.parameters())
    assert trained_weights(network.config, backbone_shape(str(tiny_backbone))) == trained


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_a_prompt_the_backbone_reads_the_patches_alone(backbones, architecture):
    network = build(backbones[architecture], prompt_style="none").eval()
    patches, backbone = torch.randn(3, 9, 32), network.reader.backbone.model
    with torch.no_grad():
        alone = backbone(inputs_embeds=patches).last_hidden_state
        torch.testing.assert_close(network.reader([[]] * 3, patches_BPD=patches), alone, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(network.reader([[]] * 3, patches_BPD=patches, settled=True), alone)


def test_without_a_language_model_the_patches_go_to_the_head(tiny_backbone):
    network = build(tiny_backbone, body="none", linear_path="none").eval()
    x = windows()
    mean, deviation = x.mean(dim=1, keepdim=True), (x.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    with torch.no_grad():
        patches = network.patch_embedding((x - mean) / deviation)
        hidden = network.reprogramming(patches, prototypes_VD=network.prototypes())[..., :8]
        expected = network.head.linear(hidden.transpose(1, 2).flatten(1)) * deviation + mean
        torch.testing.assert_close(network(x), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("feed_forward", [False, True])
def test_trained_layer_equals_attention_written_out_over_one_prompt_and_its_patches(tiny_backbone, feed_forward):
    backbone = load_backbone(ModelConfig(backbone=str(tiny_backbone), layers=1, backbone_dtype="float32"), device="cpu")
    layer = TrainedLayer(backbone, feed_forward=feed_forward, examples=["lags 1 2 3 4 5"])
    ids, patches_PD = backbone.token_ids(["min value"])[0], torch.randn(5, 32)
    words_LD = backbone.model.get_input_embeddings()(torch.tensor(ids))
    angles = torch.arange(len(ids) + 5)[:, None] / 10_000 ** (torch.arange(0, 32, 2) / 32)
    read_KD = layer.norm(torch.cat([words_LD, patches_PD])) + torch.cat([angles.sin(), angles.cos()], dim=1)
    mixed = []
    for head in range(4):
        query, key, value = (
            part(read_KD)[:, 8 * head : 8 * head + 8] for part in (layer.query, layer.key, layer.value)
        )
        mixed.append((query[len(ids) :] @ key.T / 8**0.5).softmax(dim=-1) @ value)
    hidden_PD = patches_PD + layer.out(torch.cat(mixed, dim=1))
    if feed_forward:
        hidden_PD = hidden_PD + layer.feed_forward(hidden_PD)
    other = ids + ids[:2]  # a longer prompt in the batch, so that the first one is padded
    found = layer([ids, other], patches_BPD=patches_PD.expand(2, -1, -1))[0]
    torch.testing.assert_close(found, layer.last_norm(hidden_PD), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_random_weights_are_the_same_each_time_and_leave_the_words(backbones, architecture):
    config = ModelConfig(backbone=str(backbones[architecture]), layers=2, backbone_dtype="float32")
    learned = load_backbone(config, device="cpu")
    one, two = (load_backbone(config.model_copy(update={"body": "random_weights"}), device="cpu") for _ in range(2))
    assert torch.equal(one.word_embeddings(), learned.word_embeddings())
    patches = torch.randn(2, 5, 32)
    hidden = [backbone.model(inputs_embeds=patches).last_hidden_state for backbone in (learned, one, two)]
    assert torch.equal(hidden[1], hidden[2]) and not torch.allclose(hidden[0], hidden[1], atol=0.1)
    assert one.causal == learned.causal
    assert not any(weight.requires_grad for weight in one.model.parameters())


def test_random_weights_are_not_quantised(tiny_backbone):
    with pytest.raises(ConfigError, match="body random_weights cannot be stored in 4bit; set quantization to none"):
        RunConfig.create("a.csv", backbone=str(tiny_backbone), body="random_weights", quantization="4bit")


def test_defaults_are_the_whole_model():
    model = RunConfig.create("a.csv").model
    assert (model.body, model.reprogramming, model.has_prompt) == ("language_model", "prototypes", True)


def test_only_a_language_model_is_said_to_add_nothing(config, tmp_path):
    config = config.updated(linear_path="fixed", learning_rate=0.5)
    whole = timellm.fit(config, run_dir=tmp_path / "whole").summary
    without = timellm.fit(config.updated(body="attention"), run_dir=tmp_path / "without").summary
    assert (whole["best_step"], whole["adds_nothing"]) == (0, True)
    assert whole["variance_shares"]["language_model"] == pytest.approx(0.0, abs=1e-4)
    assert "variance_shares" not in without
    assert without["best_step"] == 0 and "adds_nothing" not in without
    assert "language model adds nothing" in whole["verdict"] and "language model" not in without["verdict"]


def test_linear_map_has_no_attention_to_show_and_says_so(trained, tmp_path, capsys):
    run_dir = trained("no reprogramming").path
    assert not (run_dir / "prototypes.safetensors").exists()
    with pytest.raises(ConfigError, match="no attention over text prototypes: a linear map rewrites its patches"):
        attention_map(run_dir, channel="load")
    assert main(["attention", str(run_dir), "--out", str(tmp_path / "a.png")]) == 2
    assert "choose a run with reprogramming=prototypes" in capsys.readouterr().err
