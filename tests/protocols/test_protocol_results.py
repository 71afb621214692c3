"""The files of results: cells are added or replaced, a damaged file is refused, and failed runs are named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from timellm.cli import main
from timellm.errors import DataError
from timellm.protocols.long_term import LONG_TERM
from timellm.protocols.protocol import Measured
from timellm.protocols.results import Results
from timellm.workspace import PROJECT

NUMBERS = {"context": 512, "windows": 10, "windows_batches": 9, "window_set": "a"}
NUMBERS |= dict.fromkeys(("mse", "mae", "mse_batches", "mae_batches"), 0.5)
ONE = Measured(
    {"set": "ETTh1", "horizon": 96, "mode": "M", "model": "dlinear", "seed": 0}, {}, NUMBERS, 3.0, 400.0, "a processor",
    {"torch": "2"}, "2026-11-30 07:00",
)  # fmt: skip


def test_a_cell_that_is_measured_again_replaces_the_earlier_one(tmp_path):
    Results(LONG_TERM, (ONE,)).write(tmp_path)
    again = replace(ONE, numbers={**NUMBERS, "mse": 0.25})
    other = replace(ONE, settings={"steps": "9"})
    Results.read(LONG_TERM, tmp_path).with_cells([again, other]).write(tmp_path)
    assert Results.read(LONG_TERM, tmp_path).cells == (again, other)
    text = (tmp_path / "long-term.md").read_text()
    assert "| dlinear | 1 | 0.2500 |" in text and "| dlinear, steps=9 | 1 | 0.5000 |" in text
    assert "Measured on a processor, with torch 2." in text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "cannot be read"),
        ('{"protocol": "m4", "version": 1, "cells": []}', "it is of the protocol 'm4', version 1"),
        ('{"protocol": "long-term", "version": 1, "cells": [{"key": {}}]}', "cannot be read"),
    ],
    ids=["no JSON", "of another protocol", "of no cell"],
)
def test_a_file_that_is_no_table_of_results_is_refused_and_stays(tmp_path, content, why):
    path = tmp_path / "long-term.json"
    path.write_text(content)
    with pytest.raises(DataError, match=why):
        Results.read(LONG_TERM, tmp_path)
    assert path.read_text() == content


def test_a_failed_run_is_named_with_its_cause_and_started_again_when_asked(folder, tmp_path, capsys):
    path, out = folder / "ETTh1.csv", tmp_path / "results"
    good = path.read_text()
    path.write_text("date,HUFL\n")
    words = ["protocol", "long-term", "--data", str(folder), "--sets", "ETTh1", "--horizons", "12", "--models", "ridge"]
    words += ["--out", str(out)]
    assert main(words) == 2
    shown = capsys.readouterr()
    assert (
        "ETTh1 12: ridge, seed 0 failed: " in shown.out
        and "runs that failed: 1; --again starts them again" in shown.err
    )
    path.write_text(good)
    assert main(words) == 2, "a failed run is not started again unasked"
    capsys.readouterr()
    assert main([*words, "--again", "--json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["results"]
    assert cell["numbers"]["mse"] > 0


def test_results_need_a_folder_outside_the_project(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["protocol", "long-term", "--data", str(folder)]) == 2
    assert "--out must name the folder for the results" in capsys.readouterr().err
    assert main(["protocol", "long-term", "--out", str(tmp_path)]) == 2
    assert "--data must name the folder with the files of 'long-term'" in capsys.readouterr().err
    assert main(["protocol", "long-term", "--data", str(folder), "--out", str(tmp_path), "--sets", "Traffic"]) == 2
    assert "it has no traffic.csv" in capsys.readouterr().err


def test_protocols_are_listed_with_their_options(capsys):
    assert main(["protocol", "--json"]) == 0
    listed = {one["name"]: one["options"] for one in json.loads(capsys.readouterr().out)}
    assert {"long-term", "few-shot"} <= set(listed)
    assert listed["few-shot"]["percents"]["usual"] == ["10", "5"]


def test_listing_protocols_loads_no_torch():
    """In a process of its own, because this one has loaded it for other tests."""
    program = "import sys; from timellm.cli import main; main(['protocol']); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "M4 competition" in shown.stdout and shown.stdout.splitlines()[-1] == "False"
