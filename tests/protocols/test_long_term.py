"""The long-term protocol, from its plan to its table, through a real store and its worker."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from timellm.cli import main
from timellm.errors import ConfigError
from timellm.jobs.local.protocol_runs import ProtocolRuns
from timellm.jobs.store.run_store import Store
from timellm.protocols.long_term import LONG_TERM
from timellm.protocols.registry import find_protocol
from timellm.protocols.results import Results


def asked(folder, settings=(), **given):
    return LONG_TERM.asked(folder, {"sets": ["ETTh1"], "models": ["ridge"]} | given, settings)


def test_every_model_and_seed_has_a_cell_and_a_closed_form_has_one(folder):
    given = {"sets": ["ETTh1", "Traffic"], "models": ["ridge", "dlinear"], "seeds": ["0", "1"]}
    plan = LONG_TERM.plan(LONG_TERM.asked(folder, given))
    keys = [(one.key["horizon"], one.key["model"], one.key["seed"]) for one in plan.cells]
    first = [(12, "ridge", 0), (12, "dlinear", 0), (24, "ridge", 0), (24, "dlinear", 0)]
    assert keys == [*first, (12, "dlinear", 1), (24, "dlinear", 1)]
    assert [one.name for one in plan.missing] == ["traffic.csv"]
    dlinear = plan.cells[-1].config
    assert (dlinear.task.context, dlinear.task.horizon, dlinear.task.split) == (48, 24, "240/120/120")
    assert dlinear.trained.seed == 1 and "transformer" in dlinear.data.description


def test_target_alone_is_another_run_and_all_in_one_out_is_the_run_of_all(folder):
    cells = {
        mode: LONG_TERM.plan(LONG_TERM.asked(folder, {"sets": ["ETTh1"], "models": ["ridge"], "mode": [mode]})).cells[0]
        for mode in ("M", "S", "MS")
    }
    assert cells["S"].config.data.channels == ("OT",)
    assert cells["M"].config == cells["MS"].config


def test_further_settings_go_to_the_models_that_have_them(folder):
    given = {"sets": ["ETTh1"], "models": ["ridge", "dlinear"]}
    ridge, dlinear, *_ = LONG_TERM.plan(LONG_TERM.asked(folder, given, ["steps=7", "context=60"])).cells
    assert ridge.config.task.context == dlinear.config.task.context == 60 and dlinear.config.trained.steps == 7
    with pytest.raises(ConfigError, match="there is no setting 'stebs'"):
        LONG_TERM.plan(LONG_TERM.asked(folder, given, ["stebs=7"]))
    for decided in ("horizon=48", "seed=3", "training-rows=9"):
        with pytest.raises(ConfigError, match="the options of the protocol decide this setting"):
            LONG_TERM.plan(LONG_TERM.asked(folder, given, [decided]))
    with pytest.raises(ConfigError, match="steps"):
        LONG_TERM.plan(LONG_TERM.asked(folder, given, ["steps=many"]))
    with pytest.raises(ConfigError, match="'steps' is not key=value"):
        LONG_TERM.plan(LONG_TERM.asked(folder, given, ["steps"]))
    with pytest.raises(ConfigError, match="no setting 'layers'; it is one of"):
        LONG_TERM.plan(LONG_TERM.asked(folder, given, ["layers=2"]))


def test_options_that_are_not_allowed_are_refused(folder):
    for given, words in (
        ({"sets": ["ETTh9"]}, "--sets: there is no 'ETTh9'"),
        ({"seeds": ["one"]}, "--seeds: give whole numbers, not 'one'"),
        ({"mode": ["M", "S"]}, "--mode takes one value, and 2 are given"),
        ({"percent": ["10"]}, "has no option --percent; it has --sets"),
    ):
        with pytest.raises(ConfigError, match=words):
            asked(folder, **given)
    with pytest.raises(ConfigError, match="no chosen set has 96; they have 12, 24"):
        LONG_TERM.plan(asked(folder, horizons=["96"]))
    with pytest.raises(ConfigError, match="no protocol 'short-term'; there are: long-term"):
        find_protocol("short-term")


def command(folder: Path, out: Path, *words: str) -> list[str]:
    given = ["--data", str(folder), "--sets", "ETTh1", "ETTh2", "--models", "ridge", "--out", str(out), *words]
    return ["protocol", "long-term", *given]


def test_command_fills_the_table_and_does_not_repeat_what_has_finished(folder, tmp_path, capsys):
    out = tmp_path / "results"
    assert main(command(folder, out, "--show", "--json")) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [cell["state"] for cell in shown["cells"]] == ["not started"] * 2 and not out.exists()
    assert [one["file"] for one in shown["missing"]] == ["ETTh2.csv"]

    assert main(command(folder, out, "--horizons", "12")) == 0
    text = capsys.readouterr()
    assert "1 of 1 runs have finished." in text.out and "ETTh2.csv is not there" in text.err
    (first,) = Results.read(LONG_TERM, out).cells
    assert first.machine and {"torch", "timellm"} <= set(first.versions) and first.memory_mib > 100

    assert main(command(folder, out, "--json")) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [run.id for run in reversed(Store.open().runs())] == [one["run"] for one in cells]
    assert first in (both := Results.read(LONG_TERM, out).cells) and len(both) == 2
    rows = (out / "long-term.md").read_text().splitlines()
    row = next(line for line in rows if line.startswith("| ETTh1 | M | 48 | 12 | ridge | 1 |"))
    assert f"| {first.numbers['mse']:.4f} | {first.numbers['mae']:.4f} | 327 |" in row
    with (out / "long-term.csv").open() as file:
        assert [float(one["mse"]) for one in csv.DictReader(file)] == [one.numbers["mse"] for one in both]


def test_a_killed_command_goes_on_where_it_stood(folder, tmp_path, capsys):
    """The command is killed while its runs wait or work; repeated, it finds them and waits for what is left."""
    group = ProtocolRuns.of(LONG_TERM, LONG_TERM.asked(folder, {"sets": ["ETTh1"], "models": ["ridge"]}))
    out = tmp_path / "results"
    program = (
        "from pathlib import Path; from timellm.cli import main; from timellm.protocols import sets\n"
        f"sets._FILE = Path({str(tmp_path / 'sets.json')!r})\n"
        f"main({command(folder, out)!r})\n"
    )
    killed = subprocess.Popen([sys.executable, "-c", program])
    store = Store.open()
    while sum(one.run is not None for one in group.find(store)) < 2:
        assert killed.poll() is None, "it ended by itself"
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    before = [one.run.id for one in group.find(store)]
    assert not list(out.glob("*"))
    assert main([*command(folder, out), "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [one["run"] for one in cells] == before, "nothing is run twice"
    assert {one["state"] for one in cells} == {"finished"}
    assert [one.key["horizon"] for one in Results.read(LONG_TERM, out).cells] == [12, 24]
