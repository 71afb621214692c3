"""The models of protocols: every one can be planned, and the paper's network runs around a chosen backbone."""

from __future__ import annotations

import pytest

import timellm
from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.protocols.long_term import LONG_TERM
from timellm.protocols.models import MODELS, published_network, seeds_of, settings_of


@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_planned(folder, model):
    cells = LONG_TERM.plan(LONG_TERM.asked(folder, {"sets": ["ETTh1"], "models": [model], "seeds": ["3", "4"]})).cells
    assert {cell.config.kind for cell in cells} == {settings_of(model)["kind"]}
    trained = cells[0].config.training is not None
    assert [cell.key["seed"] for cell in cells] == ([3, 3, 4, 4] if trained else [3, 3])
    assert seeds_of(model, (3, 4)) == ((3, 4) if trained else (3,))


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError, match="there is no model 'lstm'; there are: ridge, linear_path"):
        settings_of("lstm")


def test_published_network_leaves_backbone_and_length_of_training_alone():
    changed = RunConfig.create("a.csv").differences(RunConfig.create("a.csv", **published_network()))
    assert {"prototype_source", "attention_scores", "linear_path", "prompt_style", "learning_rate"} <= set(changed)
    assert not {"steps", "batch_size", "backbone", "layers", "validations", "context"} & set(changed)


def test_published_network_is_trained_around_the_backbone_that_is_set(folder, tiny_backbone, tmp_path):
    asked = LONG_TERM.asked(
        folder,
        {"sets": ["ETTh1"], "models": ["published"], "horizons": ["12"], "mode": ["MS"]},
        [f"backbone={tiny_backbone}", "layers=2", "steps=2", "validations=1", "validation_windows=8", "prototypes=20"],
    )
    (cell,) = LONG_TERM.plan(asked).cells
    assert cell.config.model.linear_path == "none" and cell.config.model.layers == 2
    timellm.fit(cell.config, run_dir=tmp_path / "run")
    numbers = LONG_TERM.measure(cell, tmp_path / "run")
    assert numbers["windows"] == 109 > numbers["windows_batches"] == 96, "of the target alone"
    assert numbers["mse"] > 0 and numbers["context"] == 48
