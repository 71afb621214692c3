"""The search for a recipe: variants are settings, no test part is looked at, and a cell is measured once."""

from __future__ import annotations

import sys

import pytest

from benchmarks import recipe
from benchmarks.cells import read_cells
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData


@pytest.mark.parametrize("variant", recipe.NETWORK + recipe.LINEAR)
def test_every_variant_is_made_of_settings(variant):
    kind = "ridge" if variant in recipe.LINEAR else "time_llm"
    settings = recipe.settings_of(variant, kind)
    assert set(settings) == {part.partition("=")[0] for part in variant.split() if variant != "default"}
    RunConfig.create("a.csv", kind=kind, **settings)


def test_variants_of_the_network_differ_from_the_default():
    usual = RunConfig.create("a.csv")
    same = [
        one for one in recipe.NETWORK if not usual.differences(usual.updated(**recipe.settings_of(one, "time_llm")))
    ]
    assert same == ["default"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    def main(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["recipe", "--log", str(tmp_path / "log.jsonl"), *words])
        recipe.main()
        return capsys.readouterr().out

    return main


def test_a_linear_path_is_judged_before_the_test_part_and_once(run, tmp_path, monkeypatch):
    asked: list[int] = []
    windows = PreparedData.windows

    def watched(self, part):
        found = windows(self, part)
        asked.append(int(found.origin.max()) + self.horizon)
        return found

    monkeypatch.setattr(PreparedData, "windows", watched)
    words = ("--tables", "seattle", "--variants", "linear_features=level linear_maps=shared")
    text = run(*words)
    (found,) = read_cells(tmp_path / "log.jsonl", recipe.Cell)
    assert found.best != found.first and f"{found.best / found.first:.3f}" in text
    assert max(asked) <= PreparedData.of(*_seattle()).split.bounds("validation")[1]
    monkeypatch.setattr(recipe, "linear_cell", lambda *_, **__: pytest.fail("measured again"))
    assert run(*words, "--seeds", "0", "1") == run("--show")


def _seattle():
    case = recipe.CASES["seattle"]
    config = RunConfig.create(case.path(None, place=None), **case.settings)
    return recipe.load_table(config.data), config


def test_a_network_is_compared_with_its_linear_path(run, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "ALIKE", {"validations": 1, "validation_windows": 8})
    run("--tables", "seattle", "--variants", "layers=1 steps=2 prototypes=20 prompt_style=none", "--seeds", "3")
    (found,) = read_cells(tmp_path / "log.jsonl", recipe.Cell)
    assert (found.seed, found.step) == (3, 2) and found.kept in (0, 2) and found.best != found.first
