"""Presets: each is allowed, known to the catalogue, and says only what differs from the defaults."""

from __future__ import annotations

import pytest

from timellm.config import RunConfig, section_of
from timellm.errors import ConfigError
from timellm.forecasters.time_llm.catalog import find
from timellm.presets import PRESETS, find_preset


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_preset_is_a_valid_configuration_of_a_known_backbone(preset):
    config = preset.over(RunConfig.create("a.csv"))
    entry = find(config.model.backbone)
    assert entry is not None and config.model.layers <= entry.layers
    assert set(preset.settings) <= set(preset.governed), "a preset decides nothing that it would not undo"
    assert len(set(preset.governed)) == len(preset.governed)
    assert find_preset(preset.name) is preset
    assert preset.purpose.endswith(".") and preset.title


def test_laptop_is_the_defaults_and_the_others_are_not():
    usual = RunConfig.create("a.csv")
    assert [preset.name for preset in PRESETS if preset.over(usual) == usual] == ["laptop"]


def test_no_preset_decides_what_is_asked_or_what_the_data_is():
    for preset in PRESETS:
        assert not {"horizon", "seed", "device", "deepspeed"} & set(preset.governed)
        assert {section_of(name) for name in preset.governed} == {"task", "forecaster", "training"}


def test_what_the_user_knows_of_the_data_is_decided_by_the_paper_alone():
    known = {"holiday_country", "dated_notes"}
    assert [preset.name for preset in PRESETS if known & set(preset.governed)] == ["paper"]
    assert all("prompt_calendar" in preset.governed for preset in PRESETS)


def test_paper_undoes_every_departure_of_the_defaults_from_the_publication():
    model = find_preset("paper").over(RunConfig.create("a.csv")).model
    assert (model.prompt_style, model.statistic_digits, model.lags) == ("paper", 0, "circular")
    assert (model.prototype_source, model.prototypes, model.round_patches) == ("map", 1000, True)
    assert (model.attention_dropout, model.dropout) == (0.1, 0.1)
    assert (model.context, model.patches, model.d_model, model.d_ff, model.heads) == (512, 64, 32, 128, 8)
    assert (model.backbone, model.layers, model.quantization) == ("huggyllama/llama-7b", 32, "none")


def test_paper_batch_divides_evenly_and_its_epochs_are_those_of_etth1():
    training = find_preset("paper").over(RunConfig.create("a.csv")).training
    windows = 7 * (8640 - 512 - 96 + 1)
    assert training.batch_size == 24 * 8, "windows of one channel a process, and processes"
    assert training.batch_size % training.accumulation == 0
    assert training.steps == pytest.approx(10 * windows / training.batch_size, rel=0.01)
    assert training.validations == 10 <= training.patience


def test_unknown_preset_names_those_there_are():
    with pytest.raises(ConfigError, match="no preset 'phone'; there are laptop, 6gb, 24gb, paper"):
        find_preset("phone")


def test_paper_says_nothing_of_the_time():
    told = RunConfig.create("a.csv", prompt_calendar=True, holiday_country="AU", dated_notes="2016-12-26 Boxing Day")
    assert told.model.tells_time and not find_preset("paper").over(told).model.tells_time
    assert not RunConfig.create("a.csv").model.tells_time
