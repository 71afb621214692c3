"""How long runs will take: from the same cells, from similar ones, by counting, from another machine, or not known."""

from __future__ import annotations

import json

import pytest

from timellm.cli import main
from timellm.jobs.local.protocol_runs import ProtocolRuns
from timellm.jobs.local.protocol_time import CellTime, Clues, about, time_needed
from timellm.protocols.long_term import LONG_TERM
from timellm.protocols.protocol import Measured
from timellm.sizing.machine import MachineFacts, processor_name

HERE, THERE = f"{processor_name()}, 1 of 2 cores", "A processor of somebody else, 8 of 8 cores"
FACTS = MachineFacts("x", None, "float32", {"float32": 100.0}, 10.0, 400.0, 40.0, None)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))


def planned(folder, *settings: str, **given: list[str]) -> ProtocolRuns:
    return ProtocolRuns.of(LONG_TERM, LONG_TERM.asked(folder, {"sets": ["ETTh1"]} | given, settings))


def took(seconds: float | None, machine: str = HERE, settings=None, **key) -> Measured:
    key = {"set": "ETTh1", "mode": "M", "model": "dlinear", "seed": 0} | key
    return Measured(key, settings or {}, {}, seconds, 1.0, machine, {}, "2026-01-01")


def needed(runs: ProtocolRuns, *measured: Measured, facts=None):
    return time_needed(runs, runs.plan.cells, Clues(measured, facts))


def test_a_cell_takes_what_it_took_with_any_seed_and_another_horizon_lies_within_proportion(folder):
    runs = planned(folder, models=["dlinear"], seeds=["7"])
    found = needed(runs, took(10.0, horizon=12), took(14.0, horizon=12, seed=1))
    assert found.times == (
        CellTime(10.0, 14.0, "same", HERE, "dlinear"),
        CellTime(10.0, 28.0, "similar", HERE, "dlinear"),
    )
    assert found.sentence() == (
        "2 runs would be queued, about 20 s to 40 s, one behind the other:"
        " 1 by what the same cells took here, 1 by cells of the same model and set here."
    )
    shorter = needed(planned(folder, models=["dlinear"], horizons=["12"]), took(10.0, horizon=24))
    assert shorter.times == (CellTime(5.0, 10.0, "similar", HERE, "dlinear"),)


def test_cells_of_another_model_mode_or_setting_tell_nothing(folder):
    runs = planned(folder, "steps=20", models=["dlinear"], horizons=["12"])
    others = (
        took(1.0, horizon=12), took(1.0, horizon=12, model="ridge", settings={"steps": "20"}),
        took(1.0, horizon=12, mode="S", settings={"steps": "20"}), took(None, horizon=12, settings={"steps": "20"}),
        took(1.0, horizon=12, settings={"steps": "20"}, set="ETTh2"),
    )  # fmt: skip
    found = needed(runs, *others)
    assert found.times == () and found.unknown == {"dlinear": 1} and found.lacks_facts
    assert found.sentence() == (
        "1 run would be queued. How long it takes is not known, because this machine has not been measured yet."
    )
    assert needed(runs, took(3.0, horizon=12, settings={"steps": "20"})).times[0].source == "same"
    ridge = planned(folder, "steps=20", models=["ridge", "dlinear"], horizons=["12"])
    assert needed(ridge, took(3.0, horizon=12, model="ridge")).times[0].source == "same", "a ridge has no steps"


def test_what_was_never_measured_here_is_counted_and_another_machine_comes_last(folder):
    runs = planned(folder, models=["dlinear", "ets"], horizons=["12"])
    elsewhere = (took(500.0, THERE, horizon=12), took(700.0, THERE, horizon=12, model="ets"))
    counted, other = needed(runs, *elsewhere, facts=FACTS).times
    assert counted.source == "counted" and 0 < counted.least_s == counted.most_s < 500
    assert other == CellTime(700.0, 700.0, "elsewhere", THERE, "ets")
    said = needed(runs, *elsewhere, facts=FACTS).sentence()
    assert f"1 by what such cells took on another machine. The other machine: {THERE}." in said
    ets = needed(runs, elsewhere[0], facts=FACTS)
    assert ets.unknown == {"ets": 1} and not ets.lacks_facts
    assert "1 of them takes about" in ets.sentence() and "(1 of ets) is not known." in ets.sentence()


def test_model_that_takes_most_of_the_time_is_named(folder):
    runs = planned(folder, models=["ridge", "dlinear"], horizons=["12"])
    said = needed(runs, took(100.0, horizon=12, model="ridge"), took(7200.0, horizon=12)).sentence()
    assert said.endswith("by what the same cells took here. Of that, dlinear takes about 2.0 h.")
    assert "Of that" not in needed(runs, took(9.0, horizon=12, model="ridge"), took(9.0, horizon=12)).sentence()


def test_nothing_left_is_said(folder):
    assert time_needed(planned(folder), (), Clues((), None)).sentence() == "Nothing is left to run."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "5 s"), (88, "90 s"), (100, "2 min"), (9000, "2.5 h"), (60_000, "17 h"), (800_000, "9 days")],
)
def test_lengths_are_as_round_as_an_estimate(seconds, words):
    assert about(seconds) == words


def test_command_shows_the_same_sentence(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("timellm.sizing.machine.known_facts", lambda: FACTS)
    words = ["protocol", "long-term", "--data", str(folder), "--out", str(tmp_path), "--sets", "ETTh1", "--show"]
    words += ["--models", "ridge", "ets"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 runs would be queued. 2 of them take about ")
    assert lines[0].endswith("counted from the settings. The time of the rest (2 of ets) is not known.")
    assert main([*words, "--json"]) == 0
    time = json.loads(capsys.readouterr().out)["time"]
    assert time["sentence"] == lines[0] and time["not_known"] == {"ets": 2} and time["rests_on"] == {"counted": 2}
