"""Naive2: the M4 competition's test and decomposition, written out again, and no look at the future."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.seasonal import seasonal_decompose
from statsmodels.tsa.stattools import acf

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.windows import WindowIndex
from timellm.forecasters.naive2 import Naive2, is_seasonal


def weekly(rows: int, *, strength: float, level: float = 20.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return level + strength * np.sin(2 * np.pi * np.arange(rows) / 7) + rng.normal(size=rows)


@pytest.mark.parametrize("season", [4, 7, 12])
@pytest.mark.parametrize("seed", range(6))
def test_the_test_is_that_of_the_competition(season, seed):
    values = weekly(90, strength=0.5, seed=seed)
    correlation = acf(values, nlags=season, fft=False)
    limit = 1.645 / np.sqrt(90) * np.sqrt(1 + 2 * (correlation[1:season] ** 2).sum())
    assert is_seasonal(values, season) == bool(abs(correlation[season]) > limit)


def test_a_season_needs_three_cycles_and_something_that_moves():
    assert is_seasonal(weekly(35, strength=9), 7)
    assert not is_seasonal(weekly(20, strength=9), 7)
    assert not is_seasonal(np.full(90, 0.1), 7)
    assert not is_seasonal(weekly(90, strength=9), 1)


@pytest.mark.parametrize(("season", "level"), [(7, 20.0), (6, 20.0), (7, 0.0)])
def test_forecasts_are_the_last_value_adjusted_by_a_classical_decomposition(season, level):
    values = level + 5 * np.sin(2 * np.pi * np.arange(100) / season) + np.random.default_rng(1).normal(size=100)
    table = Table(
        pd.DataFrame({"a": values}, index=pd.date_range("2024", periods=100, freq="D")), "D", "ds", "wide", ()
    )
    config = RunConfig(data={"path": "a.csv"}).updated(context=16, horizon=9)
    prepared = PreparedData.of(table, config)
    kind = "multiplicative" if level else "additive"
    factors = seasonal_decompose(prepared.training_values[:, 0], model=kind, period=season).seasonal[:season]
    found = Naive2.fit(prepared.training_values, season=season).predict(
        prepared, WindowIndex(np.array([0, 0]), np.array([90, 85]), 0)
    )
    for row, origin in zip(found, (90, 85), strict=True):
        at, ahead = factors[(origin - 1) % season], factors[(origin + np.arange(9)) % season]
        expected = values[origin - 1] / at * ahead if level else values[origin - 1] - at + ahead
        np.testing.assert_allclose(row, expected, rtol=1e-9)


def test_without_a_season_it_is_the_last_value():
    values = np.random.default_rng(2).normal(size=(60, 1)).cumsum(axis=0) + 50
    found = Naive2.fit(values, season=1)
    table = Table(pd.DataFrame(values, index=pd.date_range("2024", periods=60, freq="D")), "D", "ds", "wide", ())
    prepared = PreparedData.of(table, RunConfig(data={"path": "a.csv"}).updated(context=16, horizon=3))
    row = found.predict(prepared, WindowIndex(np.array([0]), np.array([55]), 0))
    np.testing.assert_allclose(row, np.full((1, 3), values[54, 0]))


def test_a_gap_that_reaches_the_origin_is_adjusted_as_the_row_that_was_known():
    values = weekly(100, strength=5)
    values[86:92] = np.nan
    table = Table(
        pd.DataFrame({"a": values}, index=pd.date_range("2024", periods=100, freq="D")), "D", "ds", "wide", ()
    )
    config = RunConfig(data={"path": "a.csv"}).updated(context=16, horizon=4, missing="interpolate")
    prepared = PreparedData.of(table, config)
    fitted = Naive2.fit(prepared.training_values, season=7)
    row = fitted.predict(prepared, WindowIndex(np.array([0]), np.array([90]), 0))[0]
    factors = fitted.factors_NS[0]
    np.testing.assert_allclose(row, values[85] / factors[85 % 7] * factors[np.arange(90, 94) % 7], rtol=1e-12)
