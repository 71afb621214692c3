"""`timellm faithfulness`: the answer in words and as JSON, the curves as a picture or as numbers."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from timellm.cli import main
from timellm.forecasting.artifacts import RunFolder


def test_verb_says_the_answer_and_writes_the_numbers(trained_run, tmp_path, capsys):
    out = tmp_path / "f.csv"
    words = ["--windows", "8", "--out", str(out), "--channel", "price", "--cutoff", "2024-01-16 00:00"]
    assert main(["faithfulness", str(trained_run), *words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["answer"] in ("yes", "partly", "no")
    assert said["sentence"].lower().startswith(said["answer"])
    assert (said["windows"], said["linear_path_share"]) == (8, None)
    frame = pd.read_csv(out)
    assert set(frame["unit"]) == {"prototypes", "patches"}
    assert len(frame) == len(said["curves"])
    assert frame["moved"].to_list() == pytest.approx([row["moved"] for row in said["curves"]], rel=1e-6)


def test_verb_draws_a_picture_and_tells_of_one_window(trained_run, tmp_path, capsys):
    out = tmp_path / "f.png"
    words = ["--windows", "4", "--out", str(out), "--channel", "price", "--cutoff", "2024-01-16 00:00"]
    assert main(["faithfulness", str(trained_run), *words]) == 0
    shown = capsys.readouterr().out
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "The forecast of price after 2024-01-16 00:00 moves" in shown
    assert "Area under the deletion curve" in shown
    assert "has no linear path" in shown


def test_verb_says_no_at_once_where_the_language_model_adds_nothing(trained_run, tmp_path, capsys):
    shutil.copytree(trained_run, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.save_summary(folder.summary() | {"adds_nothing": True})
    out = tmp_path / "f.png"
    assert main(["faithfulness", str(folder.path), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("No: the language model adds nothing")
    assert f"{out} was not written" in shown
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cutoff", "2024-01-16"], "give --channel, too"),
        (["--cutoff", "soon", "--channel", "price"], "--cutoff 'soon' is not a timestamp"),
        (["--channel", "wind"], "no channel 'wind'"),
        (["--out", "f.txt"], "end its name in .png, .svg, .pdf, .csv or .parquet"),
    ],
)
def test_verb_refuses_what_it_cannot_do(trained_run, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(["faithfulness", str(trained_run), *words]) == 2
    assert said in capsys.readouterr().err
