"""Weights of linear forecasters: a context times them is the forecast, but for what is added beside them."""

from __future__ import annotations

import numpy as np
import pytest

import timellm
from timellm.errors import ConfigError
from timellm.explain.linear_map import LinearMap, linear_maps
from timellm.forecasters.registry import kind_of
from timellm.forecasting.artifacts import RunFolder


def fitted(csv, tmp_path, **settings) -> RunFolder:
    timellm.fit(timellm.RunConfig.create(csv, context=48, horizon=12, **settings), run_dir=tmp_path / "run")
    return RunFolder(tmp_path / "run")


def left_over(folder: RunFolder, weights_LH: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The forecasts of some test windows without context times weights, [W, H]; and the windows' deviation [W]."""
    config, prepared = folder.config(), folder.prepared()
    index = prepared.windows("test").part(0, 40)
    forecast_WH = kind_of(config.kind).load().load(folder.path, config).predict(prepared, index)
    channel = index.channel[:, None]
    scaled_WH = (forecast_WH - prepared.scaler.mean[channel]) / prepared.scaler.scale[channel]
    rows_WT = index.origin[:, None] + np.arange(-48, 0)
    context_WT = prepared.scaled_past.before(index.origin, channel=index.channel, rows_WK=rows_WT)
    return scaled_WH - context_WT @ weights_LH, context_WT.std(axis=1)


def test_weights_of_dlinear_leave_a_constant_for_each_step(hourly_csv, tmp_path):
    folder = fitted(hourly_csv, tmp_path, kind="dlinear", steps=4, batch_size=8, validations=1, validation_windows=16)
    both, trend, rest = linear_maps(folder.path)
    left_WH, _ = left_over(folder, both.weights_LH)
    np.testing.assert_allclose(left_WH, np.broadcast_to(left_WH[0], left_WH.shape), atol=1e-4)
    assert [one.title for one in (both, trend, rest)] == ["Both maps together", "Map of the trend", "Map of the rest"]
    assert trend.weights_LH.shape == rest.weights_LH.shape == (48, 12)


def test_weights_of_a_ridge_leave_a_multiple_of_the_deviation(hourly_csv, tmp_path):
    folder = fitted(hourly_csv, tmp_path, kind="ridge", linear_features="plain", linear_maps="shared")
    (only,) = linear_maps(folder.path)
    left_WH, deviation_W = left_over(folder, only.weights_LH)
    each_WH = left_WH / deviation_W[:, None]
    np.testing.assert_allclose(each_WH, np.broadcast_to(each_WH[0], each_WH.shape), atol=1e-6)
    assert only.title == "All channels" and "A constant by window" in only.beside


@pytest.mark.parametrize(("features", "said"), [("level", "level"), ("calendar", "calendar")])
def test_what_a_ridge_knows_beside_the_context_is_said(hourly_csv, tmp_path, features, said):
    folder = fitted(hourly_csv, tmp_path, kind="ridge", linear_features=features, linear_maps="by_channel")
    maps = linear_maps(folder.path)
    assert [one.title for one in maps] == ["All channels", "load", "price"]
    assert all(said in one.beside for one in maps)
    assert (maps[1].weights_LH != maps[2].weights_LH).any()


def test_other_kinds_have_no_linear_map(hourly_csv, tmp_path):
    folder = fitted(hourly_csv, tmp_path, kind="naive")
    with pytest.raises(ConfigError, match="this run has no linear map; choose a ridge, DLinear, or a Time-LLM"):
        linear_maps(folder.path)


def test_repeat_of_a_day_is_the_distance_with_the_largest_weight():
    weights_LH = np.zeros((48, 12))
    for step in range(1, 13):
        weights_LH[48 - (24 - step + 1), step - 1] = 0.6  # the row 24 rows before the step
        weights_LH[48 - (36 - step + 1), step - 1] = -0.2
    weights_LH[-1, 0] = 0.9  # of one step alone
    found = LinearMap("all", weights_LH, "")
    assert found.distances(2) == [(24, pytest.approx(0.6)), (36, pytest.approx(-0.2))]
    assert found.last_row_share == pytest.approx(0.9 / (12 * 0.8 + 0.9))
