"""Simple forecasts by hand and against plain loops, never from the future, each alone as among others."""

from __future__ import annotations

import numpy as np
import pytest

from timellm.data.gaps import Past
from timellm.forecasters.simple_rules import METHODS, Rule, Windows, rules_for

NAN = np.nan
RULES = rules_for((3, 7), context=8, positive=True)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method}-{rule.rows}-{rule.seasons}")
each_setting = pytest.mark.parametrize("missing", ["skip", "interpolate"])


def forecast(rule: Rule, values, *, origin: int, horizon: int, missing: str = "skip") -> list[float]:
    """The forecast of one series."""
    past = Past.of(np.asarray(values, np.float64)[:, None], missing)
    return rule.forecast(Windows(past, np.array([0]), np.array([origin]), horizon))[0].tolist()


def made(rows: int = 70, share: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    values = rng.lognormal(size=(rows, 3))
    values[rng.random(values.shape) < share] = NAN
    return values


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("last"), [8, 8, 8, 8]),
        (Rule("drift", 5), [9.5, 11, 12.5, 14]),  # from 2 to 8 in 4 steps
        (Rule("seasonal", 3), [2, 3, 8, 2]),
        (Rule("mean", 3, seasons=2), [1.5, 2.5, 5, 1.5]),
        (Rule("seasonal_drift", 3, seasons=2), [2 + 8 / 3, 3 + 8 / 3, 8 + 8 / 3, 2 + 16 / 3]),
        (Rule("seasonal_growth", 3, seasons=2), [2 * 13 / 5, 3 * 13 / 5, 8 * 13 / 5, 2 * (13 / 5) ** 2]),
    ],
    ids=lambda value: value.method if isinstance(value, Rule) else "",
)
def test_rules_by_hand(rule, expected):
    """The seasons are (1, 2, 2) and (2, 3, 8); what comes after the origin is enormous."""
    values = [9, 1, 2, 2, 2, 3, 8, 1e9, 1e9]
    assert forecast(rule, values, origin=7, horizon=4) == pytest.approx(expected, rel=1e-15)


def plain(rule: Rule, series: np.ndarray, step: int) -> float:
    """One step, from 0, after the end of a series, as the rules are told."""
    place, cycle = step % rule.rows, 1 + step // rule.rows
    seasons = [series[-rule.rows * number :][: rule.rows] for number in range(1, rule.seasons + 1)]
    if rule.method == "drift":
        return series[-1] + (step + 1) * (series[-1] - series[-8]) / 7
    if rule.method == "seasonal_drift":
        return seasons[0][place] + cycle * np.mean(seasons[0] - seasons[1])
    if rule.method == "seasonal_growth":
        return seasons[0][place] * (np.mean(seasons[0]) / np.mean(seasons[1])) ** cycle
    return np.mean([season[place] for season in seasons])


@each_rule
@pytest.mark.parametrize("horizon", [1, 6, 7, 20])
def test_rules_equal_a_plain_loop(rule, horizon):
    values = made()
    for channel in range(3):
        expected = [plain(rule, values[:40, channel], step) for step in range(horizon)]
        np.testing.assert_allclose(forecast(rule, values[:, channel], origin=40, horizon=horizon), expected)


@pytest.mark.parametrize("horizon", [1, 20])
def test_weights_of_a_context_give_the_same_forecast(horizon):
    values = made()[:, 0]
    for rule in rules_for((3, 7), context=8, positive=False):  # growth multiplies values
        weights_LH = rule.weights(context=30, horizon=horizon)
        np.testing.assert_allclose(weights_LH.sum(axis=0), 1)
        np.testing.assert_allclose(values[10:40] @ weights_LH, forecast(rule, values, origin=40, horizon=horizon))


def test_every_method_is_among_the_rules():
    assert {rule.method for rule in RULES} == set(METHODS) and len(set(RULES)) == len(RULES)


@each_setting
@each_rule
def test_no_rule_looks_at_the_origin_or_after(rule, missing):
    values = made(share=0.1)
    for origin in range(1, len(values) + 1):
        changed = values.copy()
        changed[origin:] = np.random.default_rng(origin).normal(size=changed[origin:].shape) * 1e6
        found = [
            rule.forecast(Windows(Past.of(rows, missing), np.arange(3), np.full(3, origin), 12))
            for rows in (values, changed, values[:origin])  # in the last one, the origin is one past the last row
        ]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


@each_setting
@each_rule
def test_forecasts_do_not_depend_on_other_windows(rule, missing):
    past = Past.of(made(share=0.02), missing)
    channel, origin = np.repeat(np.arange(3), 71), np.tile(np.arange(71), 3)
    together = rule.forecast(Windows(past, channel, origin, 12))
    assert np.isfinite(together).any()
    for size in (1, 2, 50):
        parts = [slice(begin, begin + size) for begin in range(0, len(origin), size)]
        apart = [rule.forecast(Windows(past, channel[part], origin[part], 12)) for part in parts]
        np.testing.assert_array_equal(np.concatenate(apart), together)


@each_setting
@each_rule
def test_rows_before_the_table_give_nan(rule, missing):
    values = made()
    for origin in range(rule.past_rows + 1):
        found = forecast(rule, values[:, 0], origin=origin, horizon=rule.rows, missing=missing)
        assert np.isnan(found).any() == (origin < rule.past_rows)


@each_rule
def test_values_that_are_not_filled_give_nan(rule):
    values = made()[:, 0]
    values[40 - rule.past_rows] = NAN  # the oldest value that the rule reads
    assert np.isnan(forecast(rule, values, origin=40, horizon=rule.rows)).any()
    assert np.isfinite(forecast(rule, values, origin=40 + rule.rows * rule.seasons, horizon=20)).all()


def test_values_are_filled_from_what_was_known_at_the_origin():
    values = np.arange(60.0)
    values[20:25] = NAN
    last, weekly = Rule("last"), Rule("seasonal", 7)
    assert forecast(last, values, origin=25, horizon=1, missing="interpolate") == [19]
    assert forecast(weekly, values, origin=25, horizon=7, missing="interpolate") == [18, 19, 19, 19, 19, 19, 19]
    assert forecast(weekly, values, origin=27, horizon=7, missing="interpolate") == [20, 21, 22, 23, 24, 25, 26]
    assert np.isnan(forecast(last, values, origin=25, horizon=1)).all()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_growth_says_nothing_of_values_that_are_not_positive(value):
    values = made()[:, 0]
    values[38] = value
    rule = Rule("seasonal_growth", 7, seasons=2)
    assert np.isnan(forecast(rule, values, origin=40, horizon=9)).all()
    assert not any(rule.method == "seasonal_growth" for rule in rules_for((7,), context=8, positive=False))


def test_rules_are_named_as_a_reader_says_them():
    assert [rule.title("h") for rule in rules_for((24, 37), context=48, positive=True)] == [
        "Last value",
        "Drift",
        "Seasonal naive, 24 rows (a day)",
        "Mean of the last 2 seasons, 24 rows (a day)",
        "Mean of the last 3 seasons, 24 rows (a day)",
        "Mean of the last 4 seasons, 24 rows (a day)",
        "Seasonal naive with drift, 24 rows (a day)",
        "Seasonal naive with growth, 24 rows (a day)",
        "Seasonal naive, 37 rows",
        "Mean of the last 2 seasons, 37 rows",
        "Mean of the last 3 seasons, 37 rows",
        "Mean of the last 4 seasons, 37 rows",
        "Seasonal naive with drift, 37 rows",
        "Seasonal naive with growth, 37 rows",
    ]
