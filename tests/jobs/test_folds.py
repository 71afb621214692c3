"""Folds of a backtest: every test window in one fold, nothing learned from what comes later, one group in the queue."""

import numpy as np
import pytest

import timellm
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.errors import ConfigError
from timellm.forecasting.artifacts import RunFolder
from timellm.jobs.local.folds import Folds
from timellm.jobs.store.run_store import Store
from timellm.workspace import workspace


@pytest.fixture(scope="module")
def folder(tmp_path_factory, hourly_csv):
    path = tmp_path_factory.mktemp("folds") / "run"
    timellm.fit(RunConfig.create(hourly_csv, kind="ridge", context=48, horizon=12), run_dir=path)
    return path


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path))
    monkeypatch.setattr("timellm.jobs.local.launcher.ensure_runner", lambda *given, **named: None)
    return Store.open(workspace())


@pytest.mark.parametrize("window", ["expanding", "sliding"])
def test_every_test_window_is_in_one_fold_and_nothing_is_learned_from_it(folder, window):
    run = RunFolder(folder)
    table, mine = run.table(), run.prepared()
    origins = []
    for number, one in enumerate(Folds.of(folder, folds=3, window=window).planned):
        prepared = PreparedData.of(table, one.config)
        index = prepared.windows("test")
        origins += [index.origin]
        assert prepared.split.validation_end == index.origin.min()
        for part in ("training", "validation"):
            assert (prepared.windows(part).origin + prepared.horizon).max() <= index.origin.min()
        rows = prepared.split.train_end - prepared.split.train_begin
        learned = mine.split.train_end + (index.origin.min() - mine.split.validation_end) * (window == "expanding")
        assert rows == learned and (number == 0) <= (rows == mine.split.train_end)
        assert len(prepared.training_values) == rows
        np.testing.assert_allclose(prepared.scaler.mean, prepared.training_values.mean(axis=0))
    np.testing.assert_array_equal(np.sort(np.concatenate(origins)), np.sort(run.test_windows(mine)[0].origin))


def test_folds_are_one_group_and_a_sentence_says_whether_retraining_helped(folder, store):
    folds = Folds.of(folder, folds=2, name="Load")
    assert folds.find(store) == (None, None) and folds.report(folds.find(store)) is None
    started = folds.start(store)
    assert [run.name for run in started] == ["Fold 1 of 2: Load", "Fold 2 of 2: Load"]
    assert all(run.tags == (folds.tag,) for run in started)
    assert folds.start(store) == started, "they are not started twice"
    for run in started:
        timellm.fit(run.config, run_dir=run.run_dir)
        store.finish(run.id, "finished", summary=RunFolder(run.run_dir).summary())
    report = folds.report(folds.find(store))
    assert [row.fold for row in report.rows] == [1, 2]
    assert sum(row.windows for row in report.rows) == RunFolder(folder).scores().scored.windows
    first = report.rows[0]
    assert first.change == pytest.approx(0, abs=1e-6), "the first fold learns what the run did"
    total = RunFolder(folder).scores()
    assert report.comparison.other_error == pytest.approx(total.error(total.own, "mae"), rel=1e-5)
    assert "2 folds" in report.sentence or "may be luck" in report.sentence or "makes no difference" in report.sentence


def test_a_table_that_was_changed_is_noticed(folder, store, tmp_path, hourly_csv):
    folds = Folds.of(folder, folds=2)
    (run, _) = folds.start(store)
    changed = tmp_path / "changed.csv"
    lines = hourly_csv.read_text().splitlines()
    changed.write_text("\n".join([*lines[:330], *(line.replace(".", "9.") for line in lines[330:])]) + "\n")
    timellm.fit(run.config.updated(path=str(changed)), run_dir=run.run_dir)
    store.finish(run.id, "finished", summary=RunFolder(run.run_dir).summary())
    with pytest.raises(ConfigError, match="fold 1 was scored on other windows than the run: its table was changed"):
        folds.report(folds.find(store))


def test_folds_that_cannot_be_are_refused(folder, store):
    for count in (1, 100):
        with pytest.raises(ConfigError, match="a backtest has 2 to 24 folds here"):
            Folds.of(folder, folds=count)
    with pytest.raises(ConfigError, match="folds cannot be compared by 'mse_scaled'"):
        Folds.of(folder, folds=2).report((None, None), "mse_scaled")
