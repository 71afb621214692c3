"""The prompt of a window: exact, cut into tokens; said otherwise, left out in parts, and read by the patches."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import timellm
from tests.conftest import SMALL
from timellm.errors import BackboneError, CheckpointError, ConfigError, DataError
from timellm.explain.prompt import PromptReader, edited, said
from timellm.explain.prompt_attention import PromptAttentionReader
from timellm.explain.prompted import PromptedRun, change_prompt
from timellm.explain.sentences import (
    MOST_SENTENCES,
    ROUNDING,
    STATISTICS,
    SWAPPED,
    WHOLE,
    Part,
    description_sentences,
    numbered,
    parts_of,
    sentence_effects,
)
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.forecasters.time_llm.wording import PromptFacts
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun

ARCHITECTURES = ("llama", "qwen2", "gpt2", "bert")
DESCRIPTION = "Load of a town. It is hourly, <b>not</b> daily."


@pytest.fixture(scope="module")
def runs(backbones, hourly_csv, tmp_path_factory):
    """A run of each architecture that tells of time, in float32."""
    found = {}
    for name in ARCHITECTURES:
        changes = SMALL | {"steps": 3, "validations": 1}
        config = timellm.RunConfig.create(
            hourly_csv, backbone=str(backbones[name]), description=DESCRIPTION, prompt_calendar=True,
            backbone_dtype="float32", device="cpu", **changes,
        )  # fmt: skip
        found[name] = tmp_path_factory.mktemp("runs") / name
        timellm.fit(config, run_dir=found[name])
    return found


@pytest.fixture(scope="module")
def llama(runs):
    return PromptedRun.open(runs["llama"])


def facts(description="One. Two.", told=("On Monday. ", "", ""), **changes) -> PromptFacts:
    values = {"minimum": "-1", "maximum": "2", "median": "0", "trend": "upward", "lags": ("24", "1")}
    return PromptFacts(description, 48, 12, told, **(values | changes))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_prompt_of_a_window_is_the_one_that_the_network_reads(runs, architecture):
    run = FittedRun.load(runs[architecture])
    network, prepared = run.forecaster.network, run.prepared
    source = run.forecaster.source(prepared)
    number, origin = np.array([1]), np.array([len(prepared.values)])
    read, backbone = [], network.reader.backbone
    network.reader.backbone = replace(backbone, tokenizer=Recording(backbone.tokenizer, read))
    network(source.contexts(number, origin=origin), **source.beside(number, origin=origin))
    own = PromptReader.open(runs[architecture]).of("price")
    assert read == [own.text]
    assert [token.id for token in own.tokens] == network.reader.backbone.token_ids([own.text])[0]
    assert own.shared == len(network.reader.shared_ids) > 0
    assert own.causal == network.reader.backbone.causal
    assert DESCRIPTION in own.text and "The forecast begins on" in own.text


class Recording:
    """A tokenizer that takes note of the texts."""

    def __init__(self, tokenizer, read):
        self._tokenizer, self._read = tokenizer, read

    def __call__(self, texts, **given):
        self._read.extend(texts)
        return self._tokenizer(texts, **given)


def test_tokens_joined_are_the_text_and_every_token_has_its_piece_and_word(runs):
    found = PromptReader.open(runs["llama"]).of("load")
    assert "".join(token.text for token in found.tokens) == found.text
    frame = found.frame()
    assert list(dict.fromkeys(frame["piece"])) == [
        "frame", "description", "task", "time", "statistics", "minimum", "maximum", "median", "trend", "lags",
    ]  # fmt: skip
    assert frame["shared"].sum() == found.shared and frame["shared"].iloc[: found.shared].all()
    words = found.words()
    assert [place for places in words for place in places] == list(range(len(found.tokens)))
    spelt = ["".join(found.tokens[place].text for place in places).strip() for places in words]
    assert (
        spelt[:5] == ["<|start_prompt|>", "Dataset", "description:", "Load", "of"] and spelt[-1] == found.facts.lags[-1]
    )


def test_letter_of_several_tokens_is_shown_once(runs):
    reader = PromptReader.open(runs["llama"])
    own = reader.of("load")
    found = reader.with_tokens(edited(own.facts, {"description": "Größe 日本 🙂.\n"}))
    assert "".join(token.text for token in found.tokens) == found.text
    assert len(found.words()) < len(found.tokens)


def test_said_and_edited_are_inverse():
    own = facts()
    assert edited(own, said(own)).text("compact") == own.text("compact")
    assert edited(own, {"time": "", "lags": "7, 14"}).text("compact").endswith("lags 7 14")
    assert "Monday" not in edited(own, {"time": " "}).text("paper")


@pytest.mark.parametrize(
    ("changes", "message"), [({"horizon": "3"}, "has no 'horizon'"), ({"description": "x" * 4001}, "at most 4,000")]
)
def test_what_cannot_be_changed_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        edited(facts(), changes)


def test_too_long_prompt_says_the_limit(runs):
    reader = PromptReader.open(runs["bert"])
    other = reader.with_tokens(edited(reader.of("load").facts, {"description": "words " * 600}))
    with pytest.raises(BackboneError, match=r"reads at most 512 tokens.*too many"):
        other.check_length()


def test_reader_names_what_is_missing(runs, tmp_path, hourly_csv, tiny_backbone):
    reader = PromptReader.open(runs["llama"])
    with pytest.raises(DataError, match="no channel 'heat'"):
        reader.of("heat")
    with pytest.raises(CheckpointError):
        PromptReader.open(tmp_path)
    for settings, message in (({"prompt_style": "none"}, "prompt_style=none"), ({"body": "none"}, "body=none")):
        config = timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | settings))
        folder = tmp_path / message
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
        with pytest.raises(ConfigError, match=message):
            PromptReader.open(folder)
        with pytest.raises(ConfigError, match=message):
            PromptedRun.open(folder)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_own_texts_forecast_what_the_run_forecasts_to_the_bit(runs, architecture):
    run = PromptedRun.open(runs[architecture])
    index = run.prepared.windows("test").evenly(5)
    own = FittedRun.load(runs[architecture]).forecaster.predict(run.prepared, index)
    texts = [one.text(run.style) for one in run.facts(index)]
    assert np.array_equal(run.forecast(index), own) and np.array_equal(run.forecast(index, texts), own)
    np.testing.assert_allclose(run.forecast(index, batch=3), own, rtol=1e-4)


def test_changed_prompt_changes_the_forecast_and_says_by_how_much(llama):
    own = llama.prepared.table.values.index[-1]
    reader_facts = llama.facts(_last(llama))[0]
    same = change_prompt(llama, reader_facts.text(llama.style), channel="load", cutoff=own)
    assert same.size == 0 and same.share == 0
    other = edited(reader_facts, {"minimum": "-900"}).text(llama.style)
    found = change_prompt(llama, other, channel="load", cutoff=own)
    difference = np.abs(found.changed.to_numpy() - found.original.to_numpy()).mean()
    assert found.size == pytest.approx(difference) and found.size > 0
    assert found.share == pytest.approx(difference / found.original.to_numpy().std())
    assert found.original.index[0] == own + llama.prepared.table.offset and len(found.frame()) == 12


def _last(run):
    from timellm.data.windows import WindowIndex

    return WindowIndex(np.array([0]), np.array([len(run.prepared.values)]), 0)


def test_parts_left_out_are_gone_and_nothing_else():
    own = facts("Pedestrians of J. Doe. Hourly counts! Three sites.")
    text, parts = own.text("compact"), {part.name: part for part in parts_of([own], "compact")}
    assert "".join(piece for _, piece in numbered(own, "compact")) == text
    assert list(parts)[:5] == [
        "Description, sentence 1", "Description, sentence 2", "Description, sentence 3", "Task", "Calendar",
    ]  # fmt: skip
    assert parts["Description, sentence 1"].text(own, "compact") == "Pedestrians of J. Doe."
    assert parts["Minimum"].without(own, "compact") == text.replace("min -1 ", "")
    assert parts["Calendar"].without(own, "compact") == text.replace("On Monday. ", "")
    assert parts[STATISTICS].without(own, "compact") == text[: text.index("Input statistics")]
    assert parts[WHOLE].without(own, "compact") == ""
    assert "Events ahead" not in parts, "no window has any"


def test_long_description_is_left_out_in_a_few_parts():
    description = " ".join(f"Sentence {number}." for number in range(40))
    found = description_sentences(description)
    assert len(found) == MOST_SENTENCES and "".join(found) == description
    assert description_sentences("") == []


def test_effects_are_those_of_numpy(llama):
    index = llama.prepared.windows("test").evenly(9)
    shares = []
    found = sentence_effects(llama, index, on_part=shares.append)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
    own, all_facts = llama.forecast(index), llama.facts(index)
    without = llama.forecast(index, [one.text("compact").replace(f"min {one.minimum} ", "") for one in all_facts])
    deviation = {one: np.sqrt(own[index.channel == one].var(axis=1).mean()) for one in (0, 1)}
    change = np.abs(without - own).mean(axis=1) / np.array([deviation[one] for one in index.channel])
    effect = found.named("Minimum")
    np.testing.assert_allclose(effect.change_W, change)
    rows = index.origin[:, None] + np.arange(12)
    actual, scale = llama.prepared.values[rows, index.channel[:, None]], llama.prepared.scaler.scale[index.channel]
    before, after = (np.abs(one - actual).mean(axis=1) / scale for one in (own, without))
    np.testing.assert_allclose(effect.error_W, (after - before) / before.mean())
    assert found.named(ROUNDING).change < 1e-4 < found.named(SWAPPED).change
    names = [effect.name for effect in found.of("sentence")]
    assert names == sorted(names, key=lambda name: -found.named(name).change)
    assert names[0] in found.sentence() and len(found.frame()) == len(found.effects)


def test_prompt_that_moves_nothing_is_said_to_move_nothing(llama, monkeypatch):
    index = llama.prepared.windows("test").evenly(4)
    own = llama.forecast(index)
    monkeypatch.setattr(PromptedRun, "forecast", lambda self, index, texts=None, **given: own)
    found = sentence_effects(llama, index)
    assert found.sentence().startswith("The prompt does not matter here")
    slightly = iter([own, *[own * 1.00001] * 50])
    monkeypatch.setattr(
        PromptedRun,
        "forecast",
        lambda self, index, texts=None, batch=64, **given: own if batch != 64 else next(slightly),
    )
    assert sentence_effects(llama, index).sentence().startswith("The prompt hardly matters here")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_attention_to_the_prompt_is_a_distribution_over_what_a_patch_may_see(runs, architecture):
    found = PromptAttentionReader.open(runs[architecture]).of("load")
    layers, heads, patches, keys = found.weights_lhPK.shape
    tokens = len(found.prompt.tokens)
    assert (layers, heads, patches, keys) == (2, 4, 6, tokens + 6)
    np.testing.assert_allclose(found.weights_lhPK.sum(axis=-1), 1, atol=1e-5)
    ahead = np.triu(np.ones((patches, patches), bool), 1)
    seen_ahead = found.weights_lhPK[..., tokens:][..., ahead].max()
    assert found.causal == (architecture != "bert") == (seen_ahead == 0)
    shares = found.shares(layer=1, head=2)
    assert shares.first + shares.sinks + shares.rest + shares.patches == pytest.approx(1)
    words = found.words(1, 2)
    assert words["attention"].sum() == pytest.approx(1 - shares.patches)
    assert found.frame(0).shape == (6, tokens + 2)


def test_attention_agrees_with_a_softmax_by_hand(backbones):
    config = timellm.config.ModelConfig(
        backbone=str(backbones["gpt2"]), fast_code=False, backbone_dtype="float32", layers=1, context=48, horizon=12,
        d_model=8, d_ff=8, heads=2, prototypes=20, linear_path="none",
    )  # fmt: skip
    backbone = load_backbone(config, device="cpu")
    backbone.model.set_attn_implementation("eager")
    network = TimeLLM(config, backbone=backbone, description="Load.").eval()
    ids, patches = [5, 9, 17, 4], torch.randn(1, 3, 32, generator=torch.Generator().manual_seed(0))
    (found,) = network.reader.attention(ids, patches_1PD=patches)
    model, block = backbone.model, backbone.model.h[0]
    with torch.no_grad():
        vectors = torch.cat([model.wte(torch.tensor([ids])), patches], dim=1) + model.wpe(torch.arange(7))
        query, key, _ = block.attn.c_attn(block.ln_1(vectors)).split(32, dim=2)
        query, key = (one.view(1, 7, 4, 8).transpose(1, 2)[0] for one in (query, key))
        scores = query @ key.transpose(1, 2) / np.sqrt(8) + torch.full((7, 7), -np.inf).triu(1)
    np.testing.assert_allclose(found.numpy(), scores.softmax(dim=-1)[:, 4:].numpy(), atol=1e-6)


def test_asking_for_attention_changes_no_forecast(runs):
    fitted = FittedRun.load(runs["llama"])
    index = fitted.prepared.windows("test").evenly(5)
    before = fitted.forecaster.predict(fitted.prepared, index)
    first = PromptAttentionReader.open(runs["llama"]).of("load")
    assert np.array_equal(fitted.forecaster.predict(fitted.prepared, index), before)
    again = PromptAttentionReader.open(runs["llama"]).of("load")
    assert np.array_equal(first.weights_lhPK, again.weights_lhPK)
    stored = RunFolder(runs["llama"]).run_forecasts()
    fresh = FittedRun.load(runs["llama"]).forecaster.predict(stored.prepared, stored.index)
    np.testing.assert_array_equal(fresh.astype(np.float32), stored.forecast_WH.astype(np.float32))


def test_attention_of_a_trained_layer_is_refused(runs, hourly_csv, tiny_backbone, tmp_path):
    config = timellm.RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | {"body": "attention"}))
    (tmp_path / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
    with pytest.raises(ConfigError, match="body=attention"):
        PromptAttentionReader.open(tmp_path)


def test_part_that_no_window_has_is_no_part():
    assert not Part("Past", "sentence", (("time", 1),)).is_in(facts(), "compact")
