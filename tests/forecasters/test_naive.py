"""The best simple forecast: chosen by validation alone, kept whole, the same however windows are asked for."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.data.windows import WindowIndex
from timellm.errors import CheckpointError
from timellm.files.sealed import write_sealed_json
from timellm.forecasters import naive
from timellm.forecasters.naive import NAIVE, Naive
from timellm.forecasters.protocol import FitJob

DAY, WEEK = "Seasonal naive, 24 rows (a day)", "Seasonal naive, 168 rows (a week)"


def prepared_of(values, tmp_path, **settings) -> PreparedData:
    values = np.asarray(values, np.float64).reshape(len(values), -1)
    frame = pd.DataFrame(values, columns=[f"c{number}" for number in range(values.shape[1])])
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=len(values), freq="h"))
    frame.to_csv(tmp_path / "made.csv", index=False)
    config = RunConfig.create(tmp_path / "made.csv", **{"kind": "naive", "context": 48, "horizon": 24} | settings)
    return PreparedData.of(load_table(config.data), config)


def weekly(rows: int = 1500, noise: float = 0.1) -> np.ndarray:
    """Two channels that repeat every week, and half so every day."""
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=(168, 2)) + 3 * np.sin(np.arange(168) * 2 * np.pi / 24)[:, None]
    return pattern[np.arange(rows) % 168] + noise * rng.normal(size=(rows, 2))


@pytest.fixture
def prepared(tmp_path) -> PreparedData:
    return prepared_of(weekly(), tmp_path)


@pytest.fixture
def fitted(prepared, tmp_path) -> Naive:
    return fit(prepared, tmp_path)[0]


def fit(prepared, tmp_path, **watch):
    return Naive.fit(prepared, FitJob(prepared.config, tmp_path / "run", **watch))


def test_rule_with_the_smallest_validation_error_is_chosen(prepared, tmp_path):
    fitted, report = fit(prepared, tmp_path)
    losses = report.facts["validation_losses"]
    assert report.validation_loss == min(losses.values()) == losses[fitted.name]
    assert {"Last value", "Drift", DAY, WEEK} <= losses.keys()
    assert report.facts["seasons"] == [24, 168] and "168" in fitted.name and not report.stopped


def test_validation_errors_equal_plain_numpy(prepared, tmp_path):
    fitted, report = fit(prepared, tmp_path)
    index = prepared.windows("validation")
    actual = prepared.values[index.origin[:, None] + np.arange(24), index.channel[:, None]]
    squares = {
        variant.name: (((variant.predict(prepared, index) - actual) / prepared.scaler.scale[index.channel, None]) ** 2)
        for variant in fitted.variants()
    }
    shared = np.all([np.isfinite(one).all(axis=1) for one in squares.values()], axis=0)
    assert report.facts["validation_losses"] == pytest.approx(
        {name: one[shared].mean() for name, one in squares.items()}
    )


def test_test_part_decides_nothing(prepared, tmp_path):
    _, report = fit(prepared, tmp_path)
    changed = prepared.values.copy()
    changed[prepared.split.validation_end :] = np.random.default_rng(1).normal(size=(300, 2)) * 1e5
    _, other = fit(replace(prepared, values=changed), tmp_path)
    assert other.facts == report.facts


def test_leaderboard_has_the_chosen_rule_the_last_value_and_every_season(fitted):
    rows = fitted.rows()
    assert rows[fitted.name] == fitted
    assert {"Last value", "Seasonal naive, 24 rows (a day)", WEEK} <= rows.keys()
    assert len(rows) <= 3 + naive._MOST_ROWS


def test_every_candidate_is_a_forecaster_of_its_own(prepared, fitted):
    index = prepared.windows("test")
    variants = {one.name: one.predict(prepared, index) for one in fitted.variants()}
    assert list(variants) == [candidate.title for candidate in fitted.candidates]
    np.testing.assert_array_equal(variants[fitted.name], fitted.predict(prepared, index))
    np.testing.assert_array_equal(
        variants[WEEK], prepared.values[index.origin[:, None] - 168 + np.arange(24), index.channel[:, None]]
    )


def test_saved_forecaster_loads_to_the_same(prepared, fitted, tmp_path):
    assert Naive.load(tmp_path / "run", prepared.config) == fitted
    for variant in fitted.variants():
        variant.save(tmp_path / "copy")
        assert Naive.load(tmp_path / "copy", prepared.config) == variant


@pytest.mark.parametrize("block", [1, 5000])
def test_parts_that_are_read_at_once_change_nothing(prepared, fitted, tmp_path, monkeypatch, block):
    index, done = prepared.windows("test"), []
    whole, (_, report) = fitted.predict(prepared, index), fit(prepared, tmp_path)
    monkeypatch.setattr(naive, "_BLOCK_VALUES", block)
    np.testing.assert_array_equal(fitted.predict(prepared, index, on_batch=done.append), whole)
    assert done == sorted(set(done)) and done[-1] == len(index)
    assert fit(prepared, tmp_path)[1].facts == report.facts


def test_forecast_beyond_the_table(prepared, fitted):
    rows = len(prepared.values)
    index = WindowIndex(np.array([0, 1]), np.array([rows, rows]), 0)
    found = fitted.predict(prepared, index)
    longer = np.vstack([prepared.values, np.full((24, 2), 1e9)])
    assert found.shape == (2, 24) and found.dtype == np.float64 and np.isfinite(found).all()
    np.testing.assert_array_equal(fitted.predict(replace(prepared, values=longer), index), found)


def test_growth_is_a_candidate_where_all_values_are_positive(tmp_path):
    values = np.exp(0.002 * np.arange(1500)) * (2 + np.sin(np.arange(1500) * 2 * np.pi / 24))
    fitted, _ = fit(prepared_of(values, tmp_path), tmp_path)
    assert fitted.name.startswith("Seasonal naive with growth")
    fitted, _ = fit(prepared_of(values - 10, tmp_path), tmp_path)
    assert not any("growth" in candidate.title for candidate in fitted.candidates)


def test_rule_that_needs_more_past_than_windows_have_is_left_out_with_a_note(tmp_path):
    prepared = prepared_of(weekly(500), tmp_path)  # the validation part begins at row 350
    fitted, report = fit(prepared, tmp_path)
    assert {f"Mean of the last {count} seasons, 168 rows (a week)" for count in (3, 4)} <= set(fitted.left_out)
    assert not set(fitted.left_out) & {candidate.title for candidate in fitted.candidates}
    assert "past is too short or misses values: Mean of the last 3 seasons, 168 rows (a week)" in report.notes[0]


@pytest.mark.parametrize("missing", ["skip", "interpolate"])
def test_gaps_leave_rules_that_can_be_compared(tmp_path, missing):
    values = weekly()
    values[np.random.default_rng(5).random(values.shape) < 0.002] = np.nan
    prepared = prepared_of(values, tmp_path, missing=missing)
    fitted, report = fit(prepared, tmp_path)
    assert np.isfinite(report.validation_loss) and fitted.candidates[0].title == "Last value"
    index = prepared.windows("test")
    lasts = fitted.variants()[0].predict(prepared, index)
    assert np.isfinite(lasts).all()
    if missing == "interpolate":
        assert not fitted.left_out and np.isfinite(fitted.predict(prepared, index)).all()


def test_rules_without_a_shared_window_leave_the_last_value():
    errors = np.ones((12, 20))
    errors[1:, :] = np.where(np.arange(20)[None] // 2 == np.arange(11)[:, None] % 10, np.nan, 0.5)
    rules = naive.rules_for((24, 168), context=48, positive=False)
    assert len(rules) == 12
    candidates, left_out = naive._compared(rules, errors, "h")
    assert [candidate.title for candidate in candidates] == ["Last value"] and len(left_out) == 11


def test_constant_channel_is_forecast_by_its_constant(tmp_path):
    prepared = prepared_of(np.full(400, 7.25), tmp_path)
    fitted, report = fit(prepared, tmp_path)
    assert fitted.name == "Last value" and report.validation_loss == 0
    assert (fitted.predict(prepared, prepared.windows("test")) == 7.25).all()


def test_bounded_number_of_windows_is_looked_at(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(naive, "_MOST_WINDOWS", 50)
    heard = []
    _, report = fit(prepared, tmp_path, on_progress=heard.append)
    assert report.facts["validation_windows"] == 50
    assert heard[-1].fraction == 1 and heard[-1].message == "Comparing, 50 of 50 windows"


def test_stop_leaves_no_forecaster_and_no_file(prepared, tmp_path):
    fitted, report = fit(prepared, tmp_path, should_stop=lambda: True)
    assert fitted is None and report.stopped and not (tmp_path / "run" / NAIVE).exists()


def test_missing_file_is_named(prepared, tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere holds no naive\.json; fit the run again"):
        Naive.load(tmp_path / "nowhere", prepared.config)


def test_changed_byte_is_found(prepared, fitted, tmp_path):
    path = tmp_path / "run" / NAIVE
    path.write_bytes(path.read_bytes().replace(b'"chosen": ', b'"chosen":  ', 1))
    with pytest.raises(CheckpointError, match=r"naive\.json is damaged \(its content is not what was written"):
        Naive.load(tmp_path / "run", prepared.config)


def row(loss=1.0, **rule):
    return {"rule": {"method": "last", "rows": 1, "seasons": 1} | rule, "title": "a", "validation_loss": loss}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chosen": 5}, "out of range"),
        ({"chosen": -1}, "-1 is no whole number of at least 0"),
        ({"candidates": [row(method="oracle")]}, "there is no rule 'oracle'"),
        ({"candidates": [row(rows=-24)]}, "-24 is no whole number of at least 1"),
        ({"candidates": [row("low")]}, "a validation error is no number"),
        ({"candidates": 3}, "not iterable"),
        ({"left_out": None}, "not iterable"),
    ],
)
def test_content_of_another_form_is_refused(prepared, tmp_path, changes, message):
    right = {"chosen": 0, "candidates": [row()], "left_out": []}
    write_sealed_json(tmp_path / NAIVE, right)
    assert Naive.load(tmp_path, prepared.config).name == "a"
    write_sealed_json(tmp_path / NAIVE, right | changes)
    with pytest.raises(CheckpointError, match=rf"naive\.json is damaged \(.*{message}"):
        Naive.load(tmp_path, prepared.config)


def test_file_is_plain_json(fitted, tmp_path):
    content = json.loads((tmp_path / "run" / NAIVE).read_text())["content"]
    assert content["candidates"][content["chosen"]]["title"] == fitted.name
