"""A backtest says where errors are: exact on any cut-offs, equal to the scores, for runs of earlier versions, too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import timellm
from tests.conftest import SMALL
from tests.kept_forecasts import kept_forecasts
from timellm.errors import ConfigError
from timellm.evaluation.window_errors import WINDOW_ERRORS, read_window_errors
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.backtest import LAST_HORIZON, Cutoffs, backtest


@pytest.fixture(scope="module")
def folder(tmp_path_factory, hourly_csv):
    path = tmp_path_factory.mktemp("backtest") / "run"
    lengths = {name: SMALL[name] for name in ("context", "horizon") if name in SMALL}
    timellm.fit(timellm.RunConfig.create(hourly_csv, kind="ridge", **lengths), run_dir=path)
    return RunFolder(path)


@pytest.fixture(scope="module")
def whole(folder):
    return backtest(folder)


def test_all_cutoffs_together_are_the_scores(folder, whole):
    scores = folder.scores()
    for model in (whole.own, whole.naive):
        for metric, error in whole.overall[model].items():
            # Stored forecasts are float32.
            assert error == pytest.approx(scores.error(model, metric), rel=1e-4, abs=1e-4), (model, metric)
    by_step = scores.by_step[scores.by_step["model"] == whole.own].set_index("step")["mae"]
    mine = whole.by["step"][whole.by["step"]["model"] == whole.own].set_index("step")["mae"]
    np.testing.assert_allclose(mine, by_step, rtol=1e-4)
    assert len(whole.windows) == scores.scored.windows and whole.cutoffs == scores.scored.cutoffs


@pytest.mark.parametrize("dimension", ["hour", "weekday", "channel", "step"])
def test_errors_by_key_equal_a_plain_group_by(folder, whole, dimension):
    kept, prepared = kept_forecasts(folder), folder.prepared()
    moments = prepared.table.values.index
    horizon = prepared.horizon
    rows = kept.origin[:, None] + np.arange(horizon)
    error = kept.actual - kept.forecast[whole.own]
    long = pd.DataFrame(
        {
            "error": np.abs(error).ravel(),
            "scaled": (error / prepared.scaler.scale[kept.channel, None]).ravel() ** 2,
            "hour": moments[rows.ravel()].hour,
            "weekday": moments[rows.ravel()].day_name(),
            "channel": np.repeat(np.array(prepared.table.channels)[kept.channel], horizon),
            "step": np.tile(np.arange(1, horizon + 1), len(rows)),
        }
    )
    expected = long.groupby(dimension).agg({"error": "mean", "scaled": "mean", "hour": "size"})
    found = whole.by[dimension][whole.by[dimension]["model"] == whole.own].set_index(dimension).loc[expected.index]
    np.testing.assert_allclose(found["mae"], expected["error"], rtol=1e-9)
    np.testing.assert_allclose(found["mse_scaled"], expected["scaled"], rtol=1e-9)
    assert found["points"].sum() == len(long)


@pytest.mark.parametrize("cutoffs", [Cutoffs(step=5), Cutoffs(step=7, count=3), LAST_HORIZON])
def test_choosing_cutoffs_is_exact(folder, cutoffs):
    found, errors = backtest(folder, cutoffs), read_window_errors(folder.path / WINDOW_ERRORS, "mae")
    mine = errors.of(found.own)
    origin = mine.place % mine.span + errors.scored.first_origin
    back = origin.max() - origin
    kept = (back % cutoffs.step == 0) & (back < cutoffs.step * (cutoffs.count or 10**6))
    assert len(found.windows) == kept.sum()
    assert found.overall[found.own]["mae"] == pytest.approx(mine.total[kept].sum() / mine.count[kept].sum(), rel=1e-4)


def test_last_horizon_is_one_window_a_channel_that_ends_with_the_table(folder):
    found = backtest(folder, LAST_HORIZON)
    assert found.cutoffs == 1 and len(found.windows) == len(folder.table().channels)
    assert set(found.windows["end"]) == {folder.table().values.index[-1]}


def test_worst_and_best_windows_are_in_order_and_do_not_overlap(whole):
    for best in (False, True):
        rows = whole.worst("mae", most=6, best=best)
        assert rows["error"].is_monotonic_increasing if best else rows["error"].is_monotonic_decreasing
        extreme = whole.windows["mae"].min() if best else whole.windows["mae"].max()
        assert rows["error"].iloc[0] == extreme and rows["naive"].notna().all()
        for _, same in rows.groupby("channel"):
            gaps = same["begin"].sort_values().diff().dropna()
            assert (gaps >= pd.Timedelta(hours=whole.horizon)).all()


def test_run_of_an_earlier_version_can_be_looked_at():
    earlier = Path(__file__).parents[1] / "earlier" / "version-1" / "finished"
    found = backtest(RunFolder(earlier))
    scores = RunFolder(earlier).scores()
    assert found.overall[found.own]["mae"] == pytest.approx(scores.error(found.own, "mae"), rel=1e-4)


def test_what_is_no_choice_is_refused(whole):
    with pytest.raises(ConfigError, match="a step of 1 row or more, and 1 cut-off or more"):
        Cutoffs(step=0)
    with pytest.raises(ConfigError, match="1 cut-off or more"):
        Cutoffs(count=0)
    with pytest.raises(ConfigError, match="OWA is not worked out by window"):
        whole.worst("owa")
    with pytest.raises(ConfigError, match="no metric 'r2'"):
        whole.worst("r2")
