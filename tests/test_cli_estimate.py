"""The verb `estimate`: what it prints, what it offers, and that `fit` offers the same when memory runs out."""

import json

import numpy as np
import pandas as pd
import pytest

from timellm.cli import main
from timellm.jobs.store import shortage
from timellm.sizing import machine, trial
from timellm.sizing.machine import Budget, MachineFacts
from timellm.sizing.trial import Trial

FACTS = MachineFacts("one", None, "bfloat16", {"float32": 170.0, "bfloat16": 900.0}, 15.0, 420.0, 40.0)


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """A machine that has been measured, with 8 GiB, 6 of them free."""
    for module in (machine, shortage):
        monkeypatch.setattr(module, "known_facts", lambda: FACTS)
        monkeypatch.setattr(module, "budget", lambda *_, **__: Budget(6 * 1024, 8 * 1024))


@pytest.fixture
def table(tmp_path):
    """A CSV file of 900 hours of two channels."""
    hours = np.arange(900)
    daily = np.sin(hours * 2 * np.pi / 24)
    frame = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=900, freq="h"), "load": 50 + 10 * daily, "price": 20 + daily}
    )
    path = tmp_path / "plant.csv"
    frame.to_csv(path, index=False)
    return path


def asked(capsys, *words) -> dict:
    assert main(["estimate", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_estimate_says_memory_and_time_in_words(table, capsys):
    assert main(["estimate", str(table)]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("needs about ")
    assert " MiB of 6.0 GiB free memory, about " in first
    assert second == "rests on arithmetic"


def test_estimate_follows_the_settings(table, capsys):
    small, large = asked(capsys, table), asked(capsys, table, "--set", "layers=30")
    assert small["memory_mib"] < large["memory_mib"]
    assert small["fits"] and large["fits"]
    assert small["offers"] == []
    assert sum(small["memory"].values()) == pytest.approx(small["memory_mib"])


def test_estimate_offers_options_that_estimate_as_fitting(table, capsys):
    words = (table, "--set", "backbone=huggyllama/llama-7b", "--set", "layers=32")
    found = asked(capsys, *words)
    assert not found["fits"]
    for offer in found["offers"]:
        assert asked(capsys, *words, *offer["options"].split())["fits"], offer


def test_trial_corrects_the_estimate_and_is_remembered(table, capsys, monkeypatch):
    monkeypatch.setattr(trial, "trial", lambda config: Trial("measured", 1500.0, 9.0, 0.5, 0.01))
    assert asked(capsys, table, "--trial")["memory_mib"] == pytest.approx(1500.0)
    again = asked(capsys, table)
    assert again["step_s"] == pytest.approx(0.5)
    assert again["rests_on"] == "a trial of these settings"


def test_trial_that_runs_out_of_memory_does_not_fit(table, capsys, monkeypatch):
    monkeypatch.setattr(trial, "trial", lambda config: Trial("out of memory", cause="memory ran out"))
    found = asked(capsys, table, "--trial", "--set", "batch_size=512")
    assert not found["fits"]
    assert found["offers"][0]["settings"] == {"accumulation": 2}


def test_trial_that_fails_otherwise_is_one_line_of_error(table, capsys, monkeypatch):
    monkeypatch.setattr(trial, "trial", lambda config: Trial("failed", cause="the backbone is damaged"))
    assert main(["estimate", str(table), "--trial"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "error: the trial failed: the backbone is damaged"


def test_fit_that_runs_out_of_memory_says_what_would_fit(table, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("timellm.pipeline.fit", full)
    assert main(["fit", str(table), "--run-dir", str(tmp_path / "run"), "--set", "batch_size=1024"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: out of memory; it would fit with --set accumulation=2 (")
