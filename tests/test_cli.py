"""The verbs: what stands on which stream, exit codes, settings from three places, stopping, and answers as JSON."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.cli import main
from timellm.cli.answer import Answer, columns
from timellm.cli.command import _parser
from timellm.cli.fitting import Bar, _configuration, _stop_on_signals
from timellm.cli.results import _written_whole
from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.jobs.store import Store
from timellm.training.progress import Progress
from timellm.workspace import PROJECT

VERBS = ("inspect", "fit", "forecast", "evaluate", "attention", "runs", "backbones")


@pytest.fixture
def table(tmp_path):
    """A CSV file of 900 hours of two channels, one value missing."""
    hours = pd.date_range("2024-01-01", periods=900, freq="h")
    daily = np.sin(np.arange(900) * 2 * np.pi / 24)
    frame = pd.DataFrame({"date": hours, "load": 50 + 10 * daily, "price": 20 + daily})
    frame.loc[7, "price"] = np.nan
    path = tmp_path / "plant.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A workspace of its own."""
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def fit_configuration(*words):
    """The configuration that `fit` would run with."""
    return _configuration(_parser().parse_args(["fit", *map(str, words), "--run-dir", "unused"]))


def test_help_names_every_verb_without_loading_anything_heavy():
    program = (
        "import sys; from timellm.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'torch', 'pandas', 'pydantic', 'sqlalchemy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
    assert all(f"  {verb}" in shown.stdout for verb in VERBS)


def test_module_runs_as_a_program(home):
    shown = subprocess.run(
        [sys.executable, "-m", "timellm", "runs", "--json"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert json.loads(shown.stdout) == []
    assert shown.stderr == ""


@pytest.mark.parametrize("words", [[], ["predict"], ["fit", "a.csv"], ["forecast", "run"], ["attention", "run"]])
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(words)
    assert exit.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_error_is_one_line_on_standard_error_with_exit_code_2(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nowhere.csv"), "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "nowhere.csv" in said.err


def test_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("timellm.jobs.store.Store.open", lambda: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        main(["runs"])


def test_full_memory_is_said_in_one_line(monkeypatch, capsys):
    def full():
        raise MemoryError

    monkeypatch.setattr("timellm.jobs.store.Store.open", full)
    assert main(["runs"]) == 2
    assert capsys.readouterr().err.startswith("error: out of memory; use a smaller batch_size")


def test_standard_output_holds_the_answer_alone(home, monkeypatch, capsys):
    opened = Store.open

    def chatty():
        print("a library says hello")
        return opened()

    monkeypatch.setattr("timellm.jobs.store.Store.open", chatty)
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


def test_inspect_follows_settings(table, capsys):
    assert main(["inspect", str(table), "--json", "--set", "channels=price"]) == 0
    assert [channel["channel"] for channel in json.loads(capsys.readouterr().out)["channels"]] == ["price"]


def test_inspect_shows_a_table_that_is_too_short_and_says_so(tmp_path, capsys):
    (tmp_path / "short.csv").write_text("ds,y\n" + "".join(f"2024-01-{day:02d},{day}\n" for day in range(1, 11)))
    assert main(["inspect", str(tmp_path / "short.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["suggested"] == {"context": None, "horizon": None}
    assert "too short to learn from" in found["notes"][-1]


def test_runs_lists_what_the_store_holds_and_notices_the_lost(home, tmp_path, capsys):
    from timellm.jobs.process import ProcessIdentity

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


def test_fit_refuses_a_folder_that_is_not_empty(table, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years")
    assert main(["fit", str(table), "--run-dir", str(tmp_path / "run")]) == 2
    assert "run is not empty; name a new or an empty folder" in capsys.readouterr().err
    assert main(["fit", str(table), "--run-dir", str(table)]) == 2
    assert "is a file" in capsys.readouterr().err


def test_fit_chooses_lengths_for_the_table_and_says_so(table, capsys):
    config = fit_configuration(table)
    said = capsys.readouterr().err
    assert f"context={config.model.context}\n" in said
    assert f"horizon={config.model.horizon}\n" in said
    assert config.data.path == str(table)
    assert config.model.context + config.model.horizon < 630, "it fits the training rows"
    assert "plant" in config.data.description


def test_fit_keeps_what_the_user_sets(table, capsys):
    config = fit_configuration(table, "--set", "context=64", "--set", "horizon=12", "--set", "description=A plant.")
    assert (config.model.context, config.model.horizon, config.data.description) == (64, 12, "A plant.")
    assert capsys.readouterr().err == ""


def test_fit_starts_from_a_file_and_set_goes_before_it(table, tmp_path, capsys):
    saved = RunConfig.create("elsewhere.csv", context=96, horizon=24, steps=7, layers=2, description="Saved.")
    (tmp_path / "run.json").write_text(saved.to_json())
    config = fit_configuration(table, "--config", tmp_path / "run.json", "--set", "layers=3")
    assert config == saved.updated(path=str(table), layers=3)
    assert capsys.readouterr().err == ""


def test_fit_takes_a_file_that_names_only_some_settings(table, tmp_path, capsys):
    (tmp_path / "run.json").write_text('{"model": {"horizon": 24}, "training": {"steps": 7}}')
    config = fit_configuration(table, "--config", tmp_path / "run.json")
    assert (config.model.horizon, config.training.steps, config.data.path) == (24, 7, str(table))
    said = capsys.readouterr().err
    assert "context=" in said
    assert "horizon=" not in said


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "cannot be read: Expecting"), ("[1]", "is a JSON object"), ('{"model": {"layer": 3}}', "layer")],
)
def test_fit_names_what_is_wrong_with_a_file_of_settings(table, tmp_path, content, message):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=message):
        fit_configuration(table, "--config", tmp_path / "run.json")


def test_fit_names_a_setting_that_does_not_exist(table):
    with pytest.raises(ConfigError, match="did you mean 'learning_rate'"):
        fit_configuration(table, "--set", "learning_rat=1")


def test_first_signal_asks_for_a_stop_and_the_second_interrupts(capsys):
    before = signal.getsignal(signal.SIGINT)
    with _stop_on_signals() as stopping:
        assert not stopping.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stopping.is_set()
        assert "the best checkpoint is kept" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_bar_shows_phase_steps_and_losses_on_standard_error(capsys):
    with Bar() as bar:
        bar.show(Progress("loading", done=1, total=2))
        bar.show(Progress("training", done=0, total=0))
        bar.show(Progress("training", done=4, total=4, train_loss=0.5))
        bar.show(Progress("training", done=4, total=4, validation_loss=0.25))
    said = capsys.readouterr()
    assert said.out == ""
    assert "loading" in said.err
    last = said.err.strip().splitlines()[-1]
    assert "training" in last
    assert "4/4" in last
    assert "train=0.5000, validation=0.2500" in last


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


def test_output_is_written_whole_or_not_at_all(tmp_path):
    out = tmp_path / "forecast.csv"
    out.write_text("old")
    with pytest.raises(ZeroDivisionError), _written_whole(out) as draft:
        draft.write_text("half")
        _ = 1 / 0
    assert out.read_text() == "old"
    assert os.listdir(tmp_path) == ["forecast.csv"]
    with _written_whole(out) as draft:
        draft.write_text("new")
    assert out.read_text() == "new"


def test_output_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(ConfigError, match="is a folder; name a file"), _written_whole(tmp_path):
        pytest.fail("the work must not begin")
    with pytest.raises(ConfigError, match="cannot be written: No such file"), _written_whole(tmp_path / "no" / "f.csv"):
        pytest.fail("the work must not begin")
