"""Runs side by side: the best is marked where there is a best, and not where the windows are others."""

from __future__ import annotations

import csv
import io
import json

import pytest
import sqlalchemy as sa

from timellm.errors import JobError
from timellm.jobs.store.comparison import MOST, Row, compare
from timellm.jobs.store.schema import runs
from timellm.training.progress import Progress


def scored(model: float, naive: float = 2.0, windows: int = 50) -> dict:
    def row(name, mae):
        return {"model": name, "mae": mae, "mse": mae**2, "rmse": mae, "smape": None, "windows": windows}

    rows = [row("Time-LLM", model), row("Seasonal naive", naive), row("Last value", 3.0)]
    by_channel, by_step = ([one | {name: at} for one in rows] for name, at in (("channel", "load"), ("step", 1)))
    return {"overall": rows, "by_channel": by_channel, "by_step": by_step, "notes": []}


@pytest.fixture
def ended(store, config):
    """Makes a finished run with scores."""

    def make(name, scores, losses=(0.9, 0.4, 0.6), **settings):
        run = store.create_run(config.updated(**settings), name=name)
        store.claim(run.id)
        for step, loss in enumerate(losses, start=1):
            store.record(run.id, Progress("training", step, 9, validation_loss=loss, windows_per_s=10.0 * step))
        run.run_dir.mkdir(parents=True)
        if scores:
            (run.run_dir / "scores.json").write_text(json.dumps(scores))
        test = {} if scores is None else {"test": {"mae": scores["overall"][0]["mae"]}}
        return store.finish(run.id, "finished", summary={"skill": 0.1, **test})

    return make


def measure(comparison, name) -> Row:
    return next(row for row in comparison.measures if row.name == name)


def test_best_is_each_run_s_best_and_not_its_last(store, ended):
    one, other = ended("A", scored(1.0), (0.9, 0.4, 0.8)), ended("B", scored(1.5), (0.9, 0.5, 0.6), layers=3)
    found = compare(store, [one.id, other.id])
    validation = measure(found, "best_validation_loss")
    assert validation.values == (0.4, 0.5) and validation.best == {0}
    assert measure(found, "mae").best == {0}
    assert measure(found, "mae of Seasonal naive").values == (2.0, 2.0)
    assert measure(found, "mae of Seasonal naive").best == set()
    assert found.same_windows and found.warnings == ()


def test_only_settings_that_differ_differ(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(1.5), layers=3, seed=7)
    differing = {row.name: row.values for row in compare(store, [one.id, other.id]).settings if row.differs}
    assert differing == {"layers": (6, 3), "seed": (0, 7)}


def test_higher_is_better_for_skill_and_throughput():
    assert Row("skill", (0.1, 0.3, None), "higher").best == {1}
    assert Row("mae", (0.1, 0.3, None), "lower").best == {0}
    assert Row("mae", (0.1, 0.3, 0.1), "lower").best == {0, 2}
    assert Row("mae", (0.1, 0.1), "lower").best == set(), "there is nothing to choose between"
    assert Row("mae", (0.1, None), "lower").best == set()


def test_other_horizon_is_said_and_no_error_is_called_best(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(0.5, naive=1.0), horizon=12)
    found = compare(store, [one.id, other.id])
    assert "not scored on the same windows: horizon is 24 / 12" in found.warnings[0]
    assert not found.same_windows
    assert not any(row.best for row in found.measures), "costs of other windows are other work"


def test_table_is_named_without_its_folder(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(0.5, naive=1.0), path="/elsewhere/table.csv")
    found = compare(store, [one.id, other.id])
    assert "the table is table / table (different files of this name)" in found.warnings[0]
    assert "/elsewhere" not in found.to_csv() and ["setting", "path", "table", "table"] in list(
        csv.reader(io.StringIO(found.to_csv()))
    )
    assert not measure(found, "windows_per_s").best


def test_moved_table_does_not_matter_when_the_baselines_say_that_it_is_the_same(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(1.5), path="/elsewhere/copy.csv", channels=["load"])
    found = compare(store, [one.id, other.id])
    assert found.same_windows and not found.warnings


def test_changed_table_is_noticed_by_its_baselines(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(1.5, naive=2.1))
    found = compare(store, [one.id, other.id])
    assert "the table was changed in between" in found.warnings[0]
    assert measure(found, "mae").best == set()


def test_rounding_of_another_processor_is_no_other_table(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(1.5, naive=2.0 * (1 + 1e-13)))
    assert compare(store, [one.id, other.id]).same_windows


def test_other_validation_windows_are_said_for_validation_alone(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(1.5), validation_windows=8)
    found = compare(store, [one.id, other.id])
    assert "validation_windows is 256 / 8" in found.warnings[0]
    assert measure(found, "best_validation_loss").best == set() and measure(found, "mae").best == {0}


def test_runs_without_scores_are_compared_by_what_the_store_knows(store, ended, config):
    other = ended("B", scored(1.5))
    running = store.create_run(config, name="Runs")
    assert store.claim(running.id)
    store.record(running.id, Progress("training", 1, 9, validation_loss=0.3))
    found = compare(store, [running.id, other.id])
    assert measure(found, "best_validation_loss").best == {0}
    assert measure(found, "mae").values == (None, 1.5)
    (other.run_dir / "scores.json").unlink()  # its folder lies on another machine
    assert measure(compare(store, [running.id, other.id]), "mae").values == (None, 1.5)


def test_damaged_scores_are_said_and_the_rest_is_compared(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(1.5))
    (one.run_dir / "scores.json").write_text('{"overall": [')
    found = compare(store, [one.id, other.id])
    assert "scores of A cannot be read" in found.warnings[0]
    assert measure(found, "mae").values == (1.0, 1.5)


def test_unreadable_settings_are_said_and_the_measures_stay(store, ended):
    one, other = ended("A", scored(1.0)), ended("B", scored(1.5))
    with store.database.writing() as connection:
        connection.execute(sa.update(runs).where(runs.c.id == one.id).values(config='{"data": {"path": "x", "y": 1}}'))
    found = compare(store, [one.id, other.id])
    assert "settings of A cannot be read" in found.warnings[0]
    assert measure(found, "mae").values == (1.0, 1.5)


def test_runs_of_one_name_are_told_apart(store, ended):
    one, other = ended("A", scored(1.0)), ended("A", scored(1.5))
    assert compare(store, [one.id, other.id]).labels() == (f"A ({one.id[-5:]})", f"A ({other.id[-5:]})")


def test_csv_holds_every_measure_and_setting(store, ended):
    one, other = ended("A, wide", scored(1.0)), ended("B", scored(1.5), layers=3)
    rows = list(csv.reader(io.StringIO(compare(store, [one.id, other.id]).to_csv())))
    assert rows[0] == ["kind", "name", one.id, other.id] and rows[1][2:] == ["A, wide", "B"]
    assert ["measure", "mae", "1.0", "1.5"] in rows and ["setting", "layers", "6", "3"] in rows
    assert ["measure", "mae of Last value", "3.0", "3.0"] in rows
    assert {len(row) for row in rows} == {4}


@pytest.mark.parametrize("count", [0, 1, MOST + 1])
def test_too_few_or_too_many_runs_are_refused(store, ended, count):
    ids = [ended("A", None, ()).id for _ in range(count)]
    with pytest.raises(JobError, match=rf"two to {MOST} different runs can be compared; {count} given"):
        compare(store, ids + ids[:1])
    with pytest.raises(JobError, match="there is no run 'gone'"):
        compare(store, ["gone", "too"])
