"""The verbs: what stands on which stream, exit codes, looking at tables, runs and backbones, answers as JSON."""

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.cli import main
from timellm.cli.answer import Answer, columns
from timellm.config import RunConfig
from timellm.jobs.store.run_store import Store
from timellm.workspace import PROJECT

VERBS = (
    "inspect",
    "fit",
    "resume",
    "estimate",
    "forecast",
    "evaluate",
    "attention",
    "faithfulness",
    "runs",
    "export",
    "import",
    "backbones",
    "receipt",
)


def test_help_names_every_verb_without_loading_anything_heavy():
    program = (
        "import sys; from timellm.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'torch', 'pandas', 'pydantic', 'sqlalchemy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
    assert all(f"  {verb}" in shown.stdout for verb in VERBS)


def test_module_runs_as_a_program():
    shown = subprocess.run(
        [sys.executable, "-m", "timellm", "runs", "--json"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert json.loads(shown.stdout) == []
    assert shown.stderr == ""


@pytest.mark.parametrize("words", [[], ["predict"], ["fit", "a.csv"], ["forecast"], ["attention", "run"]])
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(words)
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "--help' shows how it is written" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("number", ["99999999999999999999", "-1", "0", "9" * 5000, "1e3", "two", ""])
@pytest.mark.parametrize(
    "words", [["runs", "--limit"], ["log", "X", "--lines"], ["attention", "X", "--out", "a.png", "--prototypes"]]
)
def test_number_beyond_what_an_option_takes_is_one_line(words, number, capsys):
    with pytest.raises(SystemExit) as exit:
        main([*words, number])
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert "give a whole number from 1 to" in said
    assert said.count("\n") == 1
    assert len(said) < 300


def test_error_is_one_line_on_standard_error_with_exit_code_2(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nowhere.csv"), "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "nowhere.csv" in said.err


def test_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("timellm.jobs.store.run_store.Store.open", lambda: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        main(["runs"])


def test_full_memory_is_said_in_one_line(monkeypatch, capsys):
    def full():
        raise MemoryError

    monkeypatch.setattr("timellm.jobs.store.run_store.Store.open", full)
    assert main(["runs"]) == 2
    assert capsys.readouterr().err.startswith("error: out of memory; use a smaller batch_size")


def test_standard_output_holds_the_answer_alone(monkeypatch, capsys):
    opened = Store.open

    def chatty():
        print("a library says hello")
        return opened()

    monkeypatch.setattr("timellm.jobs.store.run_store.Store.open", chatty)
    assert main(["runs", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "a library says hello" in said.err


def test_inspect_says_what_the_table_holds(table, capsys):
    assert main(["inspect", str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["frequency"], found["time_column"]) == (900, "h", "date")
    assert (found["start"], found["end"]) == ("2024-01-01T00:00:00", "2024-02-07T11:00:00")
    assert [(channel["channel"], channel["missing"]) for channel in found["channels"]] == [("load", 0), ("price", 1)]
    assert found["suggested"]["horizon"] > 0
    assert main(["inspect", str(table)]) == 0
    text = capsys.readouterr().out
    assert "900 rows of 2 channels, one every h" in text
    assert f"suggested: context={found['suggested']['context']}" in text


def test_inspect_gives_findings_as_data_and_as_sentences(table, capsys):
    assert main(["inspect", str(table), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (missing,) = [one for one in found["findings"] if one["kind"] == "missing_values"]
    assert (missing["channel"], missing["count"], missing["effect"]) == ("price", 1, "windows_left_out")
    assert datetime.fromisoformat(missing["where"][0]["start"])
    assert missing["where"][0]["line"] == missing["where"][0]["first_row"] + 2  # below the header, counted from 1
    assert "outliers" in found["clear"]
    assert main(["inspect", str(table)]) == 0
    text = capsys.readouterr().out
    assert "'price' has no value in 1 row" in text
    assert "checks found nothing: " in text


def test_inspect_names_the_lengths_that_do_not_fit(table, capsys):
    assert main(["inspect", str(table), "--json", "--set", "context=800"]) == 0
    kinds = {one["kind"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert kinds["too_short"]["values"]["context"] == 800


def test_inspect_of_a_table_that_cannot_be_used_gives_findings_and_exit_code_2(tmp_path, capsys):
    path = tmp_path / "twice.csv"
    path.write_text("ds,y\n2024-01-01,1\n2024-01-01,2\n2024-01-02,3\n")
    assert main(["inspect", str(path), "--json"]) == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["usable"], found["findings"][0]["kind"], found["findings"][0]["count"]) == (False, "duplicates", 1)
    assert said.err.startswith("error: column 'ds', line 3") and said.err.count("\n") == 1
    assert main(["inspect", str(path)]) == 2
    assert "grave: 1 row has the timestamp of an earlier row." in capsys.readouterr().out


def test_inspect_follows_settings(table, capsys):
    assert main(["inspect", str(table), "--json", "--set", "channels=price"]) == 0
    assert [channel["channel"] for channel in json.loads(capsys.readouterr().out)["channels"]] == ["price"]


def test_inspect_shows_a_table_that_is_too_short_and_says_so(tmp_path, capsys):
    (tmp_path / "short.csv").write_text("ds,y\n" + "".join(f"2024-01-{day:02d},{day}\n" for day in range(1, 11)))
    assert main(["inspect", str(tmp_path / "short.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["suggested"]["context"], found["suggested"]["horizon"]) == (None, None)
    assert "too short to learn from" in found["notes"][-1]
    assert [one["severity"] for one in found["findings"] if one["kind"] == "too_short"] == ["grave"]


def test_inspect_repairs_and_says_what_it_changed(table, capsys):
    steps = ["--repair", "clip::55:load", "--repair", "resample:3h:mean", "--repair", "fill:previous"]
    assert main(["inspect", str(table), "--json", *steps]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["frequency"]) == (300, "3h")
    assert [one["step"] for one in found["repairs"]] == ["clip::55:load", "resample:3h:mean", "fill:previous"]
    assert found["repairs"][0]["changed"].keys() == {"load"}
    assert main(["inspect", str(table), "--repair", "resample:3h"]) == 2
    assert "write for example resample:1h:mean" in capsys.readouterr().err


def test_runs_lists_what_the_store_holds_and_notices_the_lost(tmp_path, capsys):
    from timellm.jobs.store.process import ProcessIdentity

    store = Store.open()
    lost = store.create_run(RunConfig.create(tmp_path / "a.csv"), name="lost one")
    store.claim(lost.id, process=ProcessIdentity(os.getpid(), 0.0))
    waiting = store.create_run(RunConfig.create(tmp_path / "b.csv"), name="waiting one")
    assert main(["runs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(run["id"], run["state"]) for run in listed] == [(waiting.id, "queued"), (lost.id, "failed")]
    assert datetime.fromisoformat(listed[0]["created"]) == waiting.created
    assert main(["runs", "--limit", "1"]) == 0
    text = capsys.readouterr().out
    assert "waiting one" in text
    assert "lost one" not in text


def test_backbones_says_which_are_ready(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TIMELLM_CACHE", str(tmp_path))
    assert main(["backbones", "--json"]) == 0
    offered = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert offered["smollm2-135m"]["ready"] is False
    assert offered["smollm2-135m"]["layers"] == 30
    assert main(["backbones"]) == 0
    assert "smollm2-135m" in capsys.readouterr().out


def test_answer_is_strict_json():
    values = {
        "nan": float("nan"),
        "path": Path("a"),
        "time": pd.Timestamp("2024-01-01"),
        "n": np.float32(0.5),
        "t": (1,),
    }
    assert json.loads(Answer(values, "").json()) == {
        "nan": None,
        "path": "a",
        "time": "2024-01-01T00:00:00",
        "n": 0.5,
        "t": [1],
    }


def test_columns_line_up():
    assert columns(("name", "n"), [("a", 1), ("long name", float("nan"))]) == "name       n\na          1\nlong name  -"


@pytest.mark.parametrize("verb", ["inspect", "estimate", "import"])
def test_pipe_device_or_folder_in_place_of_a_file_is_refused_at_once(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null"), tmp_path):
        assert main([verb, str(path)]) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert re.search(r"is a (pipe or a device|folder)|is no file", said.err)


def test_name_commands_no_terminal_and_half_a_character_is_no_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path))
    names = (
        ("inspect", "\x1b[31m😀.csv", r"\x1b[31m😀.csv"),
        ("log", "a\x9bm", r"a\x9bm"),
        ("stop", "\udcff", r"\udcff"),
    )
    for verb, name, shown in names:
        assert main([verb, name]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert shown in said
        assert said.rstrip("\n").isprintable()
