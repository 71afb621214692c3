"""`forecast --keep` and `ledger`: what they print, what they write, and what they refuse."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from tests.ledger.conftest import HORIZON, ROWS
from timellm.cli import main
from timellm.ledger.folder import Ledger


def said(capsys, *words) -> dict | list:
    assert main([*map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_forecast_is_kept_scored_adjusted_shown_and_exported(ridge_run, grown, tmp_path, capsys):
    kept = said(capsys, "forecast", ridge_run, "--keep", "--by", "Ada", "--note", "plan", "--out", tmp_path / "f.csv")
    assert kept["new"] and kept["rows"] == 2 * HORIZON and (tmp_path / "f.csv").is_file()
    (row,) = said(capsys, "ledger")
    assert (row["entry"], row["state"], row["by"]) == (kept["entry"], "due", "Ada")
    moment = pd.Timestamp(kept["cutoff"]) + pd.Timedelta(hours=2)
    tail = kept["entry"][-5:]
    words = ("--channel", "price", "--from", moment, "--to", moment, "--times", 2, "--reason", "fair", "--by", "Bo")
    made = said(capsys, "ledger", "adjust", tail, *words)
    assert [change["becomes"] / change["was"] for change in made["changes"]] == [pytest.approx(2)]
    found = said(capsys, "ledger", "score", "--data", grown())
    assert found["outcomes"][0]["new"] == 2 * HORIZON
    assert found["forecasts"][0]["state"] == "scored"
    assert main(["ledger", "show", tail]) == 0
    text = capsys.readouterr().out
    assert "ridge.safetensors sha256" in text and "The adjustments made it worse" in text and "Bo adjusted" in text
    said(capsys, "ledger", "export", "--out", tmp_path / "points.csv")
    frame = pd.read_csv(tmp_path / "points.csv")
    assert len(frame) == 2 * HORIZON and frame["y"].notna().all() and frame["adjusted"].notna().sum() == 1
    said(capsys, "ledger", "export", tail, "--out", tmp_path / "points.parquet")
    assert len(pd.read_parquet(tmp_path / "points.parquet")) == 2 * HORIZON


def test_drop_is_said_with_the_command_that_refits(ledger, entry, grown, capsys):
    path = grown(ROWS + HORIZON, *(("load", row, 500.0) for row in range(ROWS, ROWS + HORIZON)))
    assert main(["ledger", "score", "--data", str(path)]) == 0
    text = capsys.readouterr().out
    assert f"python -m timellm fit {path} --config {entry.run.folder}/config.json" in text


def test_kept_forecast_of_a_newer_table_is_from_that_table(ridge_run, grown, capsys):
    kept = said(capsys, "forecast", ridge_run, "--data", grown(ROWS + 3), "--keep", "--by", "Ada")
    ledger = Ledger.open()
    assert ledger.entry(kept["entry"]).source.endswith("grown.csv")


def test_table_may_be_read_in_another_way(ledger, entry, grown, tmp_path, capsys):
    pd.read_csv(grown()).to_csv(tmp_path / "comma.csv", index=False, sep=";", decimal=",")
    words = ["ledger", "score", "--data", str(tmp_path / "comma.csv"), "--entry", entry.id, "--set", "decimal=comma"]
    assert said(capsys, *words)["outcomes"][0]["new"] == 2 * HORIZON


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["forecast", "{run}"], "name a file for the forecast with --out, or keep it"),
        (["forecast", "{run}", "--out", "f.csv", "--by", "Bo"], "--by and --note go into the ledger"),
        (["ledger", "show", "nothing"], "there is no kept forecast 'nothing'"),
        (["ledger", "score"], "there is no table in .*inbox"),
        (["ledger", "score", "--data", "no.csv"], "there is no table no.csv"),
        (["ledger", "export", "--out", "{tmp}/f.csv"], "no forecast is kept yet"),
        (["ledger", "export", "--out", "f.txt"], "name a .csv or a .parquet file"),
        (
            ["ledger", "adjust", "x", "--reason", "y"],
            "one of the arguments --value --add --times --withdraw is required",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(ridge_run, tmp_path, capsys, words, message):
    words = [word.format(run=ridge_run, tmp=tmp_path) for word in words]
    try:
        code = main(words)
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert re.search(message, capsys.readouterr().err)


def test_list_without_any_says_how_to_keep_one(capsys):
    assert main(["ledger"]) == 0
    assert "keep one with 'forecast DIR --keep'" in capsys.readouterr().out


def test_moment_that_is_none_is_refused(ledger, entry, capsys):
    words = ["ledger", "adjust", entry.id, "--from", "noon", "--value", "1", "--reason", "x"]
    assert main(words) == 2
    assert "'noon' is no moment" in capsys.readouterr().err
