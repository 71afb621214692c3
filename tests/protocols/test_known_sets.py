"""The published sets as data: complete, split as published, found in a folder, and recognised by a table's columns."""

from __future__ import annotations

import json
import re

import pytest

from tests.protocols.conftest import small_ett
from timellm.cli import main
from timellm.config import DataConfig, TaskConfig
from timellm.data.table import load_table
from timellm.errors import ConfigError
from timellm.protocols.protocol import MissingFile
from timellm.protocols.sets import find_set, known_sets, recognise


@pytest.mark.parametrize("name", known_sets())
def test_set_says_what_a_user_needs_to_find_it(name):
    one = find_set(name)
    assert one.files and one.source.endswith(".") and len(one.description) > 100
    assert not re.search(r"https?:|www\.|\.(com|org|edu)\b", one.source), "in words, not by host"
    assert one.target == "OT" and (not one.names or len(one.names) == one.channels)
    assert one.horizons == ((24, 36, 48, 60) if name == "ILI" else (96, 192, 336, 720))
    assert bool(one.settings) == bool(one.note), "what is changed is said"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ETTh1", (8640, 2880, 2880)),
        ("ETTm2", (34560, 11520, 11520)),
        ("Weather", (36887, 5270, 10539)),
        ("ILI", (676, 97, 193)),
    ],
)
def test_split_is_the_published_one(name, parts):
    one = find_set(name)
    assert TaskConfig(split=one.split).split_rows(one.rows) == parts


def test_every_part_of_a_set_holds_its_longest_horizon():
    for one in known_sets().values():
        parts = TaskConfig(split=one.split).split_rows(one.rows)
        assert min(parts) >= max(one.horizons) and parts[0] > one.context + max(one.horizons)


def test_a_file_that_is_not_there_is_named_with_its_source(tmp_path):
    missing = find_set("Traffic").find(tmp_path)
    assert isinstance(missing, MissingFile) and missing.name == "traffic.csv"
    assert "traffic.csv is not there" in str(missing) and "PeMS" in str(missing)


def test_inspect_names_the_set_that_a_table_looks_like(folder, table, capsys):
    assert main(["inspect", str(folder / "ETTh1.csv")]) == 0
    assert "suggested: --describe ETTh1  (by step, columns and rows it looks like ETTh1 or" in capsys.readouterr().out
    assert main(["inspect", str(table), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["looks_like"] == []


def test_an_unknown_set_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="no set 'ETTh3'; there are: ETTh1, ETTh2"):
        find_set("ETTh3")


def test_a_table_is_recognised_by_columns_and_rows_and_its_title_comes_first(folder, tmp_path, table):
    looks = load_table(DataConfig(path=str(folder / "ETTh1.csv")))
    assert [one.name for one in recognise(looks)] == ["ETTh1", "ETTh2"]
    assert [one.name for one in recognise(looks, title="my etth2 copy")] == ["ETTh2", "ETTh1"]
    assert recognise(load_table(DataConfig(path=str(table)))) == ()
    shorter = small_ett(tmp_path / "short.csv")
    shorter.write_text("\n".join(shorter.read_text().splitlines()[:400]))
    assert recognise(load_table(DataConfig(path=str(shorter)))) == ()
