"""The verb prompt, as a user types it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from timellm.cli.command import main


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, tiny_backbone, hourly_csv):
    config = timellm.RunConfig.create(
        hourly_csv, backbone=str(tiny_backbone), description="Load.", **(SMALL | {"steps": 2, "validations": 1})
    )
    folder = tmp_path_factory.mktemp("runs") / "one"
    timellm.fit(config, run_dir=folder)
    return folder


def asked(capsys, *arguments) -> dict:
    assert main(["prompt", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_prompt_says_text_and_tokens(run_dir, tmp_path, capsys):
    found = asked(capsys, run_dir, "--channel", "price", "--out", tmp_path / "tokens.csv")
    assert found["prompt"].startswith("<|start_prompt|>Dataset description: Load.Task")
    assert found["token_count"] == len(found["tokens"]) > found["shared_tokens"] > 0
    assert len(pd.read_csv(tmp_path / "tokens.csv")) == found["token_count"]
    assert main(["prompt", str(run_dir), "--out", str(tmp_path / "tokens.png")]) == 2
    assert "tokens are no picture" in capsys.readouterr().err


def test_prompt_changed_says_the_forecast(run_dir, tmp_path, capsys):
    found = asked(capsys, run_dir, "--set", "description=Beer", "--set", "trend=downward", "--out", tmp_path / "f.svg")
    assert "description: BeerTask" in found["changed_prompt"] and "trend downward" in found["changed_prompt"]
    assert found["mean_absolute_change"] > 0 and len(found["forecast"]) == 12
    assert (tmp_path / "f.svg").read_text().count("Changed prompt") == 1
    for wrong, message in (("horizon=3", "has no 'horizon'"), ("minimum", "is not NAME=TEXT")):
        assert main(["prompt", str(run_dir), "--set", wrong]) == 2
        assert message in capsys.readouterr().err


def test_prompt_windows_leaves_sentences_out(run_dir, tmp_path, capsys):
    found = asked(capsys, run_dir, "--windows", 6, "--out", tmp_path / "parts.pdf")
    assert found["windows"] == 6 and "prompt" in found["answer"]
    assert {"Description", "Task", "Minimum"} <= {part["part"] for part in found["parts"]}
    assert (tmp_path / "parts.pdf").read_bytes().startswith(b"%PDF")


def test_prompt_attention_names_the_words(run_dir, tmp_path, capsys):
    found = asked(capsys, run_dir, "--attention", "--out", tmp_path / "read.png")
    assert found["first_token"] + found["other_sinks"] + found["rest_of_prompt"] + found["patches"] == pytest.approx(1)
    assert {"Load.", "statistics:"} <= {word["word"] for word in found["words"]}
    assert (tmp_path / "read.png").read_bytes().startswith(b"\x89PNG")


def test_prompt_of_a_run_without_one_is_refused(hourly_csv, tmp_path, capsys):
    config = timellm.RunConfig.create(hourly_csv, kind="ridge", context=48, horizon=12)
    timellm.fit(config, run_dir=tmp_path / "ridge")
    assert main(["prompt", str(tmp_path / "ridge")]) == 2
    assert "only Time-LLM has a prompt" in capsys.readouterr().err
