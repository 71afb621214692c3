"""The verb `fit`: settings from three places, refusals, the bar, stopping and going on."""

import json
import signal
import subprocess
import sys
import time

import pytest

import timellm
from tests.conftest import SMALL
from timellm.cli import main
from timellm.cli.bar import Bar
from timellm.cli.fitting import _configuration, _stop_on_signals
from timellm.cli.verbs import parser
from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.forecasting.artifacts import RunFolder
from timellm.presets import PRESETS, find_preset
from timellm.training.progress import Progress
from timellm.workspace import PROJECT


def fit_configuration(*words):
    """The configuration that `fit` would run with."""
    return _configuration(parser().parse_args(["fit", *map(str, words), "--run-dir", "unused"]))


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
    assert f"context={config.model.context} (" in said
    assert f"horizon={config.model.horizon} (" in said
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
        "context", "layers", "split",
    }  # fmt: skip
    assert (config.model.context, config.model.layers) == (64, 3)
    split, horizon = capsys.readouterr().err.splitlines()
    assert split.startswith("chosen for this table: split=60%/20%/20% (with 70%/10%/20% the validation part")
    assert horizon == "chosen for this table: horizon=96 (96 rows are usual for one row every hour)"


def test_fit_with_the_laptop_preset_is_fit_with_the_defaults(table):
    assert fit_configuration(table, "--preset", "laptop") == fit_configuration(table)


def test_fit_takes_a_description_from_the_prompt_bank(table):
    from timellm.protocols.sets import find_set

    assert fit_configuration(table, "--describe", "ETTh1").data.description == find_set("ETTh1").description
    assert fit_configuration(table, "--set", "description=My plant.").data.description == "My plant."
    with pytest.raises(ConfigError, match="--describe and --set description both describe the data"):
        fit_configuration(table, "--describe", "ETTh1", "--set", "description=My plant.")
    with pytest.raises(ConfigError, match="there is no set 'plant'; there are: ETTh1"):
        fit_configuration(table, "--describe", "plant")


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
    assert (config.model.horizon, config.trained.steps, config.data.path) == (24, 7, str(table))
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
    assert RunFolder(tmp_path).summary()["steps"] < 8
    assert main(["resume", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["steps"] == 8
    assert main(["resume", str(tmp_path)]) == 2
    assert "holds no training state to resume: the run has finished" in capsys.readouterr().err


def test_resume_runs_a_backbones_code_only_for_who_says_so_here(hourly_csv, tmp_path, capsys):
    config = RunConfig.create(hourly_csv, backbone="with/code", trust_remote_code=True)
    (tmp_path / "config.json").write_text(config.to_json())
    (tmp_path / "training_state.safetensors").write_bytes(b"")
    assert main(["resume", str(tmp_path)]) == 2
    assert "give --trust-remote-code if you trust its source" in capsys.readouterr().err
