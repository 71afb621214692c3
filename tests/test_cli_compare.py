"""The verb that compares runs, as a user calls it."""

from __future__ import annotations

import csv
import json

import pytest

from timellm.cli.command import main
from timellm.config import RunConfig
from timellm.jobs.store.run_store import Store
from timellm.training.progress import Progress


@pytest.fixture
def two(tmp_path):
    """Ids of two ended runs that differ in their layers."""
    store, ids = Store.open(), []
    for layers in (3, 4):
        run = store.create_run(RunConfig.create(tmp_path / "table.csv", layers=layers), name=f"Layers {layers}")
        store.claim(run.id)
        store.record(run.id, Progress("training", 1, 2, validation_loss=1 / layers))
        store.finish(run.id, "finished", summary={"skill": 0.1 * layers})
        ids.append(run.id)
    return ids


def test_compare_marks_the_best_and_shows_differing_settings_only(two, capsys):
    assert main(["compare", *two]) == 0
    text = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert lines["best_validation_loss"][1:] == ["0.33333", "0.25", "*"]
    assert lines["layers"][1:] == ["3", "4"]
    assert "learning_rate" not in lines and "* best of its row" in text
    assert main(["compare", *two, "--all"]) == 0
    assert "learning_rate" in capsys.readouterr().out


def test_compare_writes_csv_and_json(two, capsys, tmp_path):
    out = tmp_path / "both.csv"
    assert main(["compare", *two, "--json", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measures"]["best_validation_loss"]["best"] == [1]
    assert found["settings"]["layers"] == [3, 4]
    assert next(csv.reader(out.open()))[2:] == two


def test_compare_of_one_run_is_refused(two, capsys):
    assert main(["compare", two[0]]) == 2
    assert "two to 8 different runs can be compared; 1 given" in capsys.readouterr().err
