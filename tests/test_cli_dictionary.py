"""The verb that names a run's prototypes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import SMALL
from timellm.cli import main
from timellm.config import RunConfig
from timellm.explain.dictionary import COLUMNS
from timellm.pipeline import fit


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, hourly_csv, tiny_backbone) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "run"
    fit(RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL), run_dir=path)
    return path


def answer(capsys, *words: object) -> dict:
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_dictionary_says_what_there_is_to_say_and_shows_the_most_attended(run_dir, capsys):
    found = answer(capsys, "dictionary", run_dir, "--top", 3)
    shares = [row["attended"] for row in found["prototypes"]]
    assert len(shares) == 3 and shares == sorted(shares, reverse=True) and found["matching"] == 20
    assert 1 <= found["effectively_attended"] <= 20 and found["windows"] == found["test_windows"]
    assert main(["dictionary", str(run_dir), "--top", "3"]) == 0
    text = capsys.readouterr().out
    assert all(sentence in text for sentence in found["sentences"])
    assert all(row["words"] in text for row in found["prototypes"])


@pytest.mark.parametrize(("ending", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_numbers_are_written_for_every_prototype_that_matches(run_dir, capsys, tmp_path, ending, read):
    out = tmp_path / f"words.{ending}"
    word = answer(capsys, "dictionary", run_dir)["prototypes"][0]["words"].split(", ")[0]
    found = answer(capsys, "dictionary", run_dir, "--search", word, "--out", out)
    frame = read(out)
    assert list(frame.columns) == list(COLUMNS) and len(frame) == found["matching"] < 20
    answer(capsys, "dictionary", run_dir, "--out", out, "--force")
    assert read(out)["attended"].sum() == pytest.approx(1)


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_picture_is_written(run_dir, capsys, tmp_path, ending, begins):
    out = tmp_path / f"words.{ending}"
    answer(capsys, "dictionary", run_dir, "--out", out, "--top", 5)
    assert out.read_bytes().startswith(begins)


def test_word_that_no_prototype_has_is_told_and_writes_nothing(run_dir, capsys, tmp_path):
    out = tmp_path / "words.csv"
    assert main(["dictionary", str(run_dir), "--search", "no such word", "--out", str(out)]) == 0
    assert "No prototype has 'no such word' among its words" in capsys.readouterr().out
    assert not out.exists()


def test_file_of_another_kind_is_refused_before_the_work(run_dir, capsys, tmp_path):
    assert main(["dictionary", str(run_dir), "--out", str(tmp_path / "words.txt")]) == 2
    assert "end its name in .png, .svg, .pdf, .csv or .parquet" in capsys.readouterr().err
