"""The verbs: what stands on which stream, exit codes, settings from three places, stopping, and answers as JSON."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from timellm.cli import main
from timellm.cli.answer import Answer, columns
from timellm.cli.bar import Bar
from timellm.cli.command import _parser
from timellm.cli.fitting import _configuration, _stop_on_signals
from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.jobs.store import Store
from timellm.presets import PRESETS, find_preset
from timellm.training.progress import Progress
from timellm.workspace import PROJECT

VERBS = ("inspect", "fit", "resume", "estimate", "forecast", "evaluate", "attention", "runs", "backbones", "receipt")


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


def test_module_runs_as_a_program():
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


def test_standard_output_holds_the_answer_alone(monkeypatch, capsys):
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


def test_runs_lists_what_the_store_holds_and_notices_the_lost(tmp_path, capsys):
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


def test_fit_keeps_what_the_user_sets(table, capsys):
    config = fit_configuration(table, "--set", "context=64", "--set", "horizon=12")
    assert (config.model.context, config.model.horizon) == (64, 12)
    assert capsys.readouterr().err == ""


def test_fit_starts_from_a_file_and_set_goes_before_it(table, tmp_path, capsys):
    saved = RunConfig.create("elsewhere.csv", context=96, horizon=24, steps=7, layers=2)
    (tmp_path / "run.json").write_text(saved.to_json())
    config = fit_configuration(table, "--config", tmp_path / "run.json", "--set", "layers=3")
    assert config == saved.updated(path=str(table), layers=3)
    assert capsys.readouterr().err == ""


def test_fit_starts_from_a_preset_and_set_goes_before_it(table, capsys):
    config = fit_configuration(table, "--set", "context=64", "--preset", "paper", "--set", "layers=3")
    assert config.differences(find_preset("paper").over(RunConfig.create(table))).keys() == {
        "context", "layers", "horizon",
    }  # fmt: skip
    assert (config.model.context, config.model.layers) == (64, 3)
    assert capsys.readouterr().err == f"chosen for this table: horizon={config.model.horizon}\n"


def test_fit_with_the_laptop_preset_is_fit_with_the_defaults(table):
    assert fit_configuration(table, "--preset", "laptop") == fit_configuration(table)


def test_fit_refuses_an_unknown_preset_and_two_starting_points(table, capsys):
    assert main(["fit", str(table), "--run-dir", "unused", "--preset", "phone"]) == 2
    assert "there is no preset 'phone'; there are laptop, 6gb, 24gb, paper" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fit", str(table), "--run-dir", "unused", "--preset", "paper", "--config", "run.json"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_help_of_fit_names_every_preset(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    shown = capsys.readouterr().out
    assert all(preset.name in shown for preset in PRESETS)


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


def test_fit_runs_a_backbones_code_only_for_who_says_so_here(table, tmp_path, capsys):
    handed = tmp_path / "run.json"
    handed.write_text(RunConfig.create(table, backbone="some/model", trust_remote_code=True).to_json())
    with pytest.raises(ConfigError, match=r"switches on 'trust_remote_code', which runs .* some/model; add --set"):
        fit_configuration(table, "--config", handed)
    assert not fit_configuration(table, "--config", handed, "--set", "trust_remote_code=false").model.trust_remote_code
    assert "warning" not in capsys.readouterr().err
    assert fit_configuration(table, "--config", handed, "--set", "trust_remote_code=true").model.trust_remote_code
    assert "warning: Python code that ships with some/model will run with all your rights" in capsys.readouterr().err


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


def test_bar_follows_the_phase_and_keeps_the_last_validation_in_view(capsys):
    with Bar() as bar:
        bar.show(Progress("loading", fraction=1.0))
        bar.show(Progress("training", done=3, total=9, fraction=0.5, validation_loss=0.25))
        bar.show(Progress("training", done=4, total=9, fraction=1.0, train_loss=0.5, eta_s=150.0))
    said = capsys.readouterr()
    assert said.out == ""
    assert "100% |████████████████████| loading" in said.err
    assert "100% |████████████████████| training 4 of 9 steps, train loss 0.5000, validation loss 0.2500" in said.err


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


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, hourly_csv, tiny_backbone):
    """A run folder written by the verb itself, and what that printed."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    small = ["layers=1", "context=48", "horizon=12", "prototypes=20", "heads=2", "steps=4", "batch_size=4"]
    small += ["validations=2", "validation_windows=16", f"backbone={tiny_backbone}"]
    words = ["fit", hourly_csv, "--run-dir", folder, "--json", *(word for each in small for word in ("--set", each))]
    command = [sys.executable, "-m", "timellm", *map(str, words)]
    return folder, subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)


def test_fit_fills_the_folder_and_shows_its_progress(fitted):
    folder, shown = fitted
    assert shown.returncode == 0, shown.stderr
    result = json.loads(shown.stdout)
    assert (result["run_dir"], result["stopped"], result["summary"]["steps"]) == (str(folder), False, 4)
    assert result["summary"]["test"]["mae"] > 0
    assert "training 4 of 4 steps" in shown.stderr
    assert "evaluating" in shown.stderr
    assert RunConfig.from_json((folder / "config.json").read_text()).model.horizon == 12


def test_forecast_writes_the_frame_that_follows_the_data(fitted, tmp_path, capsys):
    assert main(["forecast", str(fitted[0]), "--out", str(tmp_path / "f.csv"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    frame = pd.read_csv(tmp_path / "f.csv", parse_dates=["ds"])
    assert list(frame.columns) == ["unique_id", "ds", "yhat"]
    assert (said["rows"], len(frame), set(frame["unique_id"])) == (24, 24, {"load", "price"})
    assert frame["ds"].min() == pd.Timestamp("2024-01-01") + pd.Timedelta(hours=400)
    assert frame["yhat"].notna().all()


def test_forecast_goes_on_from_a_newer_table(fitted, hourly_csv, tmp_path, capsys):
    whole = pd.read_csv(hourly_csv)
    whole.iloc[100:300].to_csv(tmp_path / "newer.csv", index=False)
    words = ["forecast", str(fitted[0]), "--data", str(tmp_path / "newer.csv"), "--out", str(tmp_path / "f.csv")]
    assert main(words) == 0
    frame = pd.read_csv(tmp_path / "f.csv", parse_dates=["ds"])
    assert frame["ds"].min() == pd.Timestamp("2024-01-01") + pd.Timedelta(hours=300)
    assert f"{tmp_path / 'f.csv'}: 24 rows, 2 channels" in capsys.readouterr().out


def test_forecast_of_the_same_table_is_the_one_that_the_run_kept(fitted, hourly_csv, tmp_path):
    assert main(["forecast", str(fitted[0]), "--out", str(tmp_path / "kept.csv")]) == 0
    assert main(["forecast", str(fitted[0]), "--data", str(hourly_csv), "--out", str(tmp_path / "anew.csv")]) == 0
    kept, anew = pd.read_csv(tmp_path / "kept.csv"), pd.read_csv(tmp_path / "anew.csv")
    pd.testing.assert_frame_equal(kept, anew, rtol=1e-4)


def test_evaluate_anew_gives_the_scores_that_the_run_kept(fitted, capsys):
    assert main(["evaluate", str(fitted[0]), "--stored", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(fitted[0]), "--json"]) == 0
    anew = capsys.readouterr()
    assert "evaluating" in anew.err
    for before, after in zip(kept["overall"], json.loads(anew.out)["overall"], strict=True):
        assert after["model"] == before["model"]
        assert after["mae"] == pytest.approx(before["mae"], rel=1e-4)


@pytest.mark.parametrize(("by", "rows"), [("overall", 3), ("channel", 6), ("step", 36)])
def test_evaluate_shows_the_model_beside_the_baselines(fitted, capsys, by, rows):
    assert main(["evaluate", str(fitted[0]), "--stored", "--by", by]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"model", "mae", "mase"} <= set(lines[0].split())
    assert "Seasonal naive" in "\n".join(lines[1 : rows + 1])
    assert lines[rows + 1] == ""
    assert "baseline" in lines[rows + 2]


def test_attention_draws_a_picture_and_writes_the_numbers(fitted, tmp_path, capsys):
    picture, numbers = tmp_path / "a.png", tmp_path / "a.csv"
    assert main(["attention", str(fitted[0]), "--out", str(picture), "--channel", "price", "--prototypes", "3"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "price" in capsys.readouterr().out
    words = ["--out", str(numbers), "--head", "2", "--cutoff", "2024-01-10 00:00", "--json"]
    assert main(["attention", str(fitted[0]), *words]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["channel"], said["head"], said["window"]["end"]) == ("load", 2, "2024-01-10T00:00:00")
    frame = pd.read_csv(numbers)
    assert len(frame) == said["patches"]
    weights = frame.drop(columns=["patch", "start", "end"])
    assert weights.shape[1] == 20
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["attention", "--out", "a.png", "--head", "3"], "--head 3: the run has heads 1 to 2"),
        (["attention", "--out", "a.png", "--channel", "nothing"], "no channel 'nothing'"),
        (["attention", "--out", "a.png", "--cutoff", "soon"], "--cutoff 'soon' is not a timestamp"),
        (["attention", "--out", "."], "--out . is a folder"),
        (["forecast", "--out", "nowhere/f.csv"], "there is no folder .*nowhere"),
        (["forecast", "--out", "f.csv", "--data", "none.csv"], "none.csv"),
    ],
)
def test_verb_on_a_run_says_what_is_wrong_and_writes_nothing(fitted, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main([words[0], str(fitted[0]), *words[1:]]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert re.search(message, said.err)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "words", [["evaluate", "--stored"], ["forecast", "--out", "f"], ["attention", "--out", "a.png"]]
)
def test_verb_on_a_folder_that_is_no_run_says_so(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main([words[0], "nothing-here", *words[1:]]) == 2
    assert "nothing-here holds no config.json, so it is not a run folder" in capsys.readouterr().err


def test_ctrl_c_stops_a_fit_and_keeps_its_best_checkpoint(hourly_csv, tiny_backbone, tmp_path):
    small = ["layers=1", "context=48", "horizon=12", "prototypes=20", "heads=2", "batch_size=4", "steps=1000000"]
    small += ["validations=1000", "minutes=5", "patience=1000000", "validation_windows=4", f"backbone={tiny_backbone}"]
    words = ["fit", hourly_csv, "--run-dir", tmp_path / "run", *(word for each in small for word in ("--set", each))]
    process = subprocess.Popen(
        [sys.executable, "-m", "timellm", *map(str, words)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "run" / "adapter.safetensors").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert out.startswith(f"stopped; the best checkpoint is kept, and 'resume' goes on: {tmp_path / 'run'}")
    assert "Ctrl-C again ends at once" in err
    assert (tmp_path / "run" / "scores.json").exists()


def test_resume_goes_on_with_a_stopped_run(hourly_csv, tiny_backbone, tmp_path, capsys):
    config = RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL | {"steps": 8, "validations": 4})
    seen = []
    timellm.fit(
        config, run_dir=tmp_path, on_progress=lambda progress: seen.append(progress.validation_loss),
        should_stop=lambda: any(loss is not None for loss in seen),
    )  # fmt: skip
    assert json.loads((tmp_path / "summary.json").read_text())["steps"] < 8
    assert main(["resume", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["steps"] == 8
    assert main(["resume", str(tmp_path)]) == 2
    assert "holds no state to go on from: the run has finished" in capsys.readouterr().err


def test_resume_runs_a_backbones_code_only_for_who_says_so_here(hourly_csv, tmp_path, capsys):
    config = RunConfig.create(hourly_csv, backbone="with/code", trust_remote_code=True)
    (tmp_path / "config.json").write_text(config.to_json())
    (tmp_path / "training_state.safetensors").write_bytes(b"")
    assert main(["resume", str(tmp_path)]) == 2
    assert "give --trust-remote-code if you trust its source" in capsys.readouterr().err
