"""Prompts that say where their window lies in time: the same wherever a window is asked for, and in any batch."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import timellm
from tests.conftest import SMALL
from timellm.config import ModelConfig, RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import BackboneError, ConfigError
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.time_llm.forecaster import TimeLLMForecaster
from timellm.forecasters.time_llm.patching import instance_norm
from timellm.forecasters.time_llm.prompt import PromptTemplate
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun
from timellm.training.state import StateFile

TIME = {
    "prompt_calendar": True,
    "dated_notes": "2024-01-06 Fair\n2024-01-15 A strike of the drivers of all the trams and buses\n2024-01-17 Snow",
}
"""In the hourly table, which ends on 17 January; some windows have no event, some several."""


class Killed(Exception):
    """What stands here for a process that ends."""


@pytest.fixture
def config(hourly_csv, tiny_backbone) -> RunConfig:
    return RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **(SMALL | TIME))


@pytest.fixture
def prepared(config) -> PreparedData:
    return PreparedData.of(load_table(config.data), config)


def fitted(prepared: PreparedData, folder: Path, **watch) -> TimeLLMForecaster:
    folder.mkdir(exist_ok=True)
    found, _ = TimeLLMForecaster.fit(prepared, FitJob(prepared.config, folder, **watch))
    return found


def every_window(prepared: PreparedData) -> WindowIndex:
    """The windows of all parts, and the one after the table's end."""
    parts = [prepared.windows(part) for part in ("training", "validation", "test")]
    parts.append(WindowIndex(np.array([0, 1]), np.full(2, len(prepared.values)), 0))
    channel = np.concatenate([part.channel for part in parts])
    return WindowIndex(channel, np.concatenate([part.origin for part in parts]), 0)


def test_words_on_time_stand_before_the_statistics():
    normed = instance_norm(torch.randn(1, 96, generator=torch.Generator().manual_seed(0)))[0]
    settings = {"context": 96, "horizon": 24, "prompt_style": "paper"}
    plain = PromptTemplate("Load.", ModelConfig(**settings)).texts(normed)[0]
    told = PromptTemplate("Load.", ModelConfig(**settings, prompt_calendar=True)).texts(
        normed, ["The forecast begins on Monday at 08:00 in December. "]
    )[0]
    before, after = plain.split("Input statistics: ")
    assert told == f"{before}The forecast begins on Monday at 08:00 in December. Input statistics: {after}"
    assert PromptTemplate("Load.", ModelConfig(**settings, prompt_calendar=True)).texts(normed, [""])[0] == plain


def test_words_that_do_not_reach_the_prompt_are_a_bug():
    normed = torch.zeros(1, 336)
    with pytest.raises(AssertionError, match="a window's words must reach its prompt"):
        PromptTemplate("Load.", ModelConfig(prompt_calendar=True)).texts(normed)
    with pytest.raises(AssertionError, match="a window's words must reach its prompt"):
        PromptTemplate("Load.", ModelConfig()).texts(normed, ["The forecast begins in May. "])


def test_a_window_has_the_same_prompt_in_training_evaluation_and_forecast(prepared, tmp_path, monkeypatch):
    heard: dict[bytes, set[str]] = {}
    write = PromptTemplate.texts

    def texts(self, normed_BT, told=None):
        found = write(self, normed_BT, told)
        for window_T, text in zip(normed_BT, found, strict=True):
            heard.setdefault(window_T.numpy().tobytes(), set()).add(text)
        return found

    found = fitted(prepared, tmp_path / "begun")  # a network in memory, whose examples are not recorded
    monkeypatch.setattr(PromptTemplate, "texts", texts)
    fitted(prepared, tmp_path / "run")
    heard = {window: prompts for window, prompts in heard.items() if len(prompts) == 1}  # not the examples
    trained = len(heard)
    found.predict(prepared, every_window(prepared))
    assert trained > 50 and len(heard) > trained
    assert all(len(prompts) == 1 for prompts in heard.values())
    assert sum("The forecast begins on " in text for (text,) in heard.values()) == len(heard)
    assert any("Snow at step" in text for (text,) in heard.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_forecast_does_not_depend_on_the_batch(prepared, tmp_path, dtype):
    prepared = replace(prepared, config=prepared.config.updated(backbone_dtype=dtype, steps=2))
    found, index = fitted(prepared, tmp_path / "run"), every_window(prepared)
    together = found.predict(prepared, index)
    rng = np.random.default_rng(0)
    for chosen in (rng.permutation(len(index))[:70], np.array([3]), np.arange(len(index) - 5, len(index))):
        some = WindowIndex(index.channel[chosen], index.origin[chosen], 0)
        np.testing.assert_array_equal(found.predict(prepared, some), together[chosen])
    lengths = {
        len(ids)
        for ids in found.network.reader.backbone.token_ids(
            prepared.source().beside(index.channel, origin=index.origin)["told"]
        )
    }
    assert len(lengths) > 5, "words of one length would not test the padding"


def test_every_prompt_begins_with_the_tokens_that_are_computed_once(prepared, tmp_path):
    reader, index = fitted(prepared, tmp_path / "run").network.reader, every_window(prepared)
    template = PromptTemplate(prepared.config.data.description, prepared.config.model)
    source = prepared.source()
    contexts = source.contexts(index.channel, origin=index.origin)
    ids = reader.backbone.token_ids(
        template.texts(instance_norm(contexts)[0], source.beside(index.channel, origin=index.origin)["told"])
    )
    assert len(reader.shared_ids) > 20 and all(one[: len(reader.shared_ids)] == reader.shared_ids for one in ids)
    assert max(map(len, ids)) <= reader.longest


@pytest.mark.parametrize("end_at", [3, 5])
def test_training_that_was_cut_off_goes_on_to_the_same_weights(prepared, tmp_path, monkeypatch, end_at):
    whole = fitted(prepared, tmp_path / "whole")
    monkeypatch.setattr(StateFile, "due", lambda _: True)

    def on_progress(progress) -> None:
        if progress.done == end_at and progress.learning_rate is not None:
            raise Killed

    with pytest.raises(Killed):
        fitted(prepared, tmp_path / "cut", on_progress=on_progress)
    torch.manual_seed(99)  # the new process starts anywhere
    again = fitted(prepared, tmp_path / "cut")
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight), name


def test_words_change_what_is_learned(prepared, tmp_path):
    silent = replace(prepared, config=prepared.config.updated(prompt_calendar=False, dated_notes=""))
    told, untold = (fitted(data, tmp_path / name).network for data, name in ((prepared, "told"), (silent, "silent")))
    assert not torch.equal(told.head.linear.weight, untold.head.linear.weight)


def test_run_forecasts_beyond_its_table_and_a_newer_one(config, hourly_csv, tmp_path):
    run = timellm.fit(config, run_dir=tmp_path / "run")
    loaded = FittedRun.load(run.run_dir)
    pd.testing.assert_frame_equal(loaded.forecast(), RunFolder(run.run_dir).future(), rtol=1e-5)
    frame = pd.read_csv(hourly_csv)
    frame.head(390).to_csv(tmp_path / "older.csv", index=False)
    index = WindowIndex(np.array([0, 1]), np.full(2, 390), 0)
    inside = loaded.forecaster.predict(loaded.prepared, index)
    np.testing.assert_allclose(loaded.forecast(tmp_path / "older.csv")["yhat"], inside.ravel(), rtol=1e-5)


def test_scrambling_the_future_changes_no_forecast(prepared, tmp_path):
    found = fitted(prepared, tmp_path / "run")
    for origin in (100, 200, 388):
        index = WindowIndex(np.array([0, 1]), np.array([origin] * 2), 0)
        values = prepared.table.values.copy()
        values.iloc[origin:] = np.random.default_rng(origin).normal(0, 1e4, values.iloc[origin:].shape)
        other = prepared.continued(replace(prepared.table, values=values))
        np.testing.assert_array_equal(found.predict(other, index), found.predict(prepared, index))


def test_notes_too_long_for_the_backbone_are_refused_before_training(prepared, backbones, tmp_path):
    notes = "\n".join(f"2024-01-0{day} {day} {'tram ' * 15}" for day in range(1, 9))
    config = prepared.config.updated(backbone=str(backbones["bert"]), description="load " * 20, dated_notes="")
    assert fitted(replace(prepared, config=config), tmp_path / "fits")
    config = config.updated(dated_notes=notes)
    with pytest.raises(BackboneError, match="reads at most 512 tokens"):
        fitted(replace(prepared, config=config), tmp_path / "run")


def test_missing_package_is_told_before_the_backbone_is_loaded(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    config = prepared.config.updated(holiday_country="AU", backbone="/nowhere")
    with pytest.raises(ConfigError, match="'holiday_country' needs the package holidays"):
        TimeLLMForecaster.fit(replace(prepared, config=config), FitJob(config, tmp_path))


def test_configuration_without_these_settings_says_nothing_of_time(config):
    tree = config.to_dict()
    for name in ("prompt_calendar", "holiday_country", "dated_notes"):
        del tree["forecaster"][name]
    opened = RunConfig.from_json(json.dumps(tree))
    assert not opened.model.tells_time
