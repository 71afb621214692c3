"""The accuracy benchmark measures once what it is asked for, and reads its own log."""

from __future__ import annotations

import sys

import pytest

from benchmarks import accuracy
from benchmarks.cells import read_cells
from timellm.config import RunConfig, parse_setting


def test_published_network_differs_from_the_default_in_what_the_paper_says():
    changed = RunConfig.create("a.csv").differences(RunConfig.create("a.csv", **accuracy.MODELS["published"]))
    assert {"prototype_source", "attention_scores", "linear_path", "prompt_style"} <= set(changed)
    assert not {"steps", "batch_size", "backbone", "layers", "validations"} & set(changed)


@pytest.mark.parametrize("model", accuracy.MODELS)
def test_settings_of_a_model_can_be_given_on_a_command_line(model):
    settings = {name: value for name, value in accuracy.MODELS[model].items() if name != "kind"}
    given = dict(parse_setting(f"{name}={value}") for name, value in settings.items())
    assert RunConfig.create("a.csv", **given) == RunConfig.create("a.csv", **settings)


def cell(model: str, mse: float, seed: int = 0) -> accuracy.Cell:
    return accuracy.Cell("illness", model, seed, mse, 1.0, 10.0, 500.0, 170, None)


def test_table_has_means_spreads_and_ratios_to_the_ridge():
    text = accuracy.table_of([cell("ridge", 2.0), cell("time_llm", 1.0), cell("time_llm", 2.0, seed=1)])
    assert "| illness | time_llm | 2 | 1.5000 ± 0.5000 | 1.0000 | 0.750 | 10 | 500 | -/- |" in text
    assert "time_llm: 0.750 of the ridge's MSE, the geometric mean of 1 tables" in text


@pytest.fixture
def run(monkeypatch, capsys):
    def main(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["accuracy", *words])
        accuracy.main()
        return capsys.readouterr().out

    return main


def test_a_cell_is_measured_once(run, tmp_path, monkeypatch):
    log = tmp_path / "log.jsonl"
    words = ("--log", str(log), "--tables", "seattle", "--models", "ridge")
    assert "| seattle | ridge | 1 |" in run(*words)
    (found,) = read_cells(log, accuracy.Cell)
    assert found.mse > 0 and found.memory_mib > 100 and found.test_windows > 100

    monkeypatch.setattr(accuracy, "measure", lambda *_, **__: pytest.fail("measured again"))
    assert run(*words) == run("--log", str(log), "--show")


def test_a_line_that_repeats_a_timestamp_is_left_out(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "weather.csv").write_bytes(b"date,a\n1,5\n2,6\n2,7\n3,8\n")
    path = accuracy.CASES["weather"].path(tmp_path / "data", place=tmp_path)
    assert path.read_bytes() == b"date,a\n1,5\n2,6\n3,8\n"


def test_a_table_that_is_not_bundled_needs_its_folder(run, tmp_path):
    with pytest.raises(SystemExit, match=r"--data must name the folder with ETTh1.csv"):
        run("--log", str(tmp_path / "log.jsonl"), "--tables", "etth1", "--models", "ridge")
