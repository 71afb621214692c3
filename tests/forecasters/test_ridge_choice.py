"""What a ridge's maps should know: chosen where it surely helps, left out where it misleads, without the test part."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.errors import CheckpointError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.forecasters.protocol import FitJob
from timellm.forecasters.ridge import limits
from timellm.forecasters.ridge.choice import best_shares
from timellm.forecasters.ridge.features import RidgeWindows
from timellm.forecasters.ridge.forecaster import FILE, Ridge
from timellm.forecasters.ridge.solve import OWN_PENALTIES, Spectrum
from timellm.forecasters.ridge.trials import moments_of, of_channel

CONTEXT, HORIZON = 24, 6
OPEN = {"linear_features": "auto", "linear_maps": "auto", "linear_fallback": "auto"}
RETURNING = {"slow": 0.9, "fast": 0.6, "mid": 0.8}
PLAIN = {"linear_features": "plain", "linear_maps": "shared"}
STAMPS = pd.date_range("2024-01-01", periods=2000, freq="h")


def prepared_of(folder, channels: dict[str, np.ndarray], **settings) -> PreparedData:
    rows = len(next(iter(channels.values())))
    pd.DataFrame({"date": STAMPS[:rows]} | channels).to_csv(folder / "table.csv", index=False)
    defaults = {"context": CONTEXT, "horizon": HORIZON} | OPEN
    config = RunConfig.create(folder / "table.csv", kind="ridge", **(defaults | settings))
    return PreparedData.of(load_table(config.data), config)


def fitted(prepared, folder, **watch):
    return Ridge.fit(prepared, FitJob(prepared.config, folder, **watch))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape)


def autoregression(weights: list[float], *, seed: int) -> np.ndarray:
    values, steps = np.zeros(len(STAMPS)), np.random.default_rng(seed).normal(size=len(STAMPS))
    for row in range(len(weights), len(STAMPS)):
        values[row] = steps[row] + sum(weight * values[row - lag] for lag, weight in enumerate(weights, start=1))
    return values


def of_two_kinds(folder, **settings) -> PreparedData:
    """Two channels that contradict each other: what rises goes on in one and turns in the other."""
    return prepared_of(
        folder, {"on": autoregression([0.9], seed=1), "back": autoregression([-0.9], seed=2)}, **settings
    )


def test_channels_that_contradict_each_other_get_maps_of_their_own(tmp_path):
    found, report = fitted(of_two_kinds(tmp_path), tmp_path)
    assert found.series == ("on", "back") and len(found.weights_MFH) == 3
    assert report.facts["linear_maps"] == "by_channel"
    assert report.facts["tried_maps"]["plain by_channel"] < 0.9
    assert "a map for each channel" in report.notes[0]
    shared, _ = fitted(of_two_kinds(tmp_path, linear_maps="shared", linear_features="plain"), tmp_path)
    assert found.validation_loss < 0.9 * shared.validation_loss


def test_level_is_told_of_series_that_return_to_it_and_not_of_random_walks(tmp_path):
    returning, _ = fitted(prepared_of(tmp_path, {"load": autoregression([0.9], seed=1)}, horizon=24), tmp_path)
    assert returning.features == ("level",)
    walk, _ = fitted(prepared_of(tmp_path, {"price": noise(2000).cumsum()}, horizon=24), tmp_path)
    assert (walk.features, walk.series) == ((), ())


def test_map_drawn_to_the_last_value_repeats_it_where_the_past_says_nothing(tmp_path):
    walks = {name: noise(400, 3)[:, number].cumsum() for number, name in enumerate("abc")}
    prepared = prepared_of(tmp_path, walks, context=48, linear_fallback="last", **PLAIN)
    found, _ = fitted(prepared, tmp_path)
    index = prepared.windows("test")
    last_W1 = prepared.values[index.origin - 1, index.channel][:, None]
    np.testing.assert_allclose(
        found.predict(prepared, index), np.broadcast_to(last_W1, (len(index), HORIZON)), atol=1e-3
    )
    mean, _ = fitted(prepared_of(tmp_path, walks, context=48, linear_fallback="mean", **PLAIN), tmp_path)
    assert found.validation_loss < mean.validation_loss
    _, report = fitted(prepared_of(tmp_path, walks, context=48), tmp_path)
    assert "one map for all channels, drawn to the last value" in report.notes[0]


def test_weighted_mean_is_one_map_that_forecasts_the_mean_of_the_forecasts(tmp_path):
    returning = {name: autoregression([share], seed=seed) for seed, (name, share) in enumerate(RETURNING.items())}
    prepared = prepared_of(tmp_path, returning)
    found, report = fitted(prepared, tmp_path)
    assert len(found.shares) > 1 and sum(found.shares.values()) == pytest.approx(1)
    assert report.facts["map_shares"] == found.shares
    index, mean_WH = prepared.windows("test"), 0.0
    for name, share in found.shares.items():
        features, maps, *fallback = name.split()
        asked = {"linear_features": features, "linear_maps": maps, "linear_fallback": (*fallback, "mean")[0]}
        part, _ = fitted(prepared_of(tmp_path, returning, **asked), tmp_path)
        mean_WH = mean_WH + share * part.predict(prepared, index)
    np.testing.assert_allclose(found.predict(prepared, index), mean_WH, rtol=1e-9, atol=1e-9)


def test_shares_are_the_best_ones_that_are_not_negative():
    errors = noise(3, 50)
    errors[2] = errors[0] + 0.1 * errors[2]  # tells what the first one tells
    products = errors @ errors.T / (errors[0] @ errors[0])
    grid = [np.array([a, b, 1 - a - b]) for a in np.linspace(0, 1, 101) for b in np.linspace(0, 1 - a, 101)]
    for penalty in (0.0, 0.3, 100.0):
        cost = [one @ products @ one + penalty * np.square(one - [1, 0, 0]).sum() for one in grid]
        found = best_shares(products, penalty=penalty)
        assert found.sum() == pytest.approx(1) and (found >= 0).all()
        np.testing.assert_allclose(found, grid[int(np.argmin(cost))], atol=0.02)
    np.testing.assert_allclose(found, [1, 0, 0], atol=0.02)


def test_constant_series_keeps_the_simplest_map(tmp_path):
    found, _ = fitted(prepared_of(tmp_path, {"load": np.full(2000, 7.0)}), tmp_path)
    assert (found.features, dict(found.tried)) == ((), {})


def test_map_of_an_earlier_version_loads(tmp_path):
    prepared = of_two_kinds(tmp_path, linear_features="level", linear_maps="shared", linear_fallback="mean")
    found, _ = fitted(prepared, tmp_path)
    tensors, facts = read_tensors(tmp_path / FILE, remedy="")
    chosen = json.loads(facts["chosen"]) | {"features": "level"}
    del chosen["shares"]
    write_tensors(tmp_path / FILE, tensors, facts=facts | {"chosen": json.dumps(chosen)})
    assert Ridge.load(tmp_path, prepared.config).features == ("level",) == found.features


def test_calendar_is_told_where_the_context_does_not_show_it(tmp_path):
    bump = 20.0 * ((STAMPS.day_of_week == 5) & (STAMPS.hour == 15))
    found, report = fitted(prepared_of(tmp_path, {"load": noise(2000) + bump}), tmp_path)
    assert found.features == ("calendar",) and found.reads_time
    assert "told where in the calendar the forecast begins" in report.notes[0]


def test_choice_and_maps_know_nothing_of_the_test_part(tmp_path):
    prepared = of_two_kinds(tmp_path)
    found, _ = fitted(prepared, tmp_path)
    scrambled = prepared.values.copy()
    scrambled[prepared.split.bounds("test")[0] :] = 1e6
    other, _ = fitted(replace(prepared, values=scrambled), tmp_path)
    assert (found.features, found.series, dict(found.tried)) == (other.features, other.series, dict(other.tried))
    np.testing.assert_array_equal(found.weights_MFH, other.weights_MFH)


def test_own_map_is_the_ridge_of_what_the_shared_map_leaves(tmp_path):
    windows = RidgeWindows(prepared := of_two_kinds(tmp_path), ("plain",))
    sides = [prepared.windows("training"), prepared.windows("validation")]
    both = [moments_of(windows, side, lambda _: None) for side in sides]
    shared_FH = Spectrum.of(both[0]).solve(both[1]).weights_FH
    own = [moments_of(windows, of_channel(side, 1), lambda _: None) for side in sides]
    found_FH = Spectrum.of(own[0]).solve_near(shared_FH, own[1])
    features, target = windows.features_and_targets(of_channel(sides[0], 1))
    seen, wanted = windows.features_and_targets(of_channel(sides[1], 1))
    gram = features.T @ features
    textbook = [
        shared_FH
        + np.linalg.solve(
            gram + penalty * np.linalg.eigvalsh(gram)[-1] * np.eye(len(gram)),
            features.T @ (target - features @ shared_FH),
        )
        for penalty in OWN_PENALTIES
    ]
    best = min(textbook, key=lambda weights: np.square(seen @ weights - wanted).sum())
    np.testing.assert_allclose(found_FH, best, rtol=1e-6, atol=1e-8)


def test_shared_map_stays_where_a_channel_has_no_windows_or_gains_nothing(tmp_path):
    windows = RidgeWindows(prepared := of_two_kinds(tmp_path), ("plain",))
    training, validation = (
        moments_of(windows, prepared.windows(part), lambda _: None) for part in ("training", "validation")
    )
    empty = moments_of(windows, prepared.windows("training").part(0, 0), lambda _: None)
    spectrum = Spectrum.of(training)
    best = spectrum.solve(validation).weights_FH
    assert Spectrum.of(empty).solve_near(best, validation) is best
    assert spectrum.solve_near(best, empty) is best
    least = np.linalg.lstsq(validation.features_FF, validation.both_FH)[0]
    assert spectrum.solve_near(least, validation) is least


def test_series_without_a_map_of_its_own_is_forecast_by_the_shared_one(tmp_path):
    prepared = of_two_kinds(tmp_path)
    found, _ = fitted(prepared, tmp_path)
    index = prepared.windows("test")
    shared = replace(found, weights_MFH=found.weights_MFH[:1], series=())
    renamed = replace(prepared.table, values=prepared.table.values.rename(columns={"back": "other"}))
    mixed = found.predict(replace(prepared, table=renamed), index)
    known = index.channel == 0
    np.testing.assert_array_equal(mixed[known], found.predict(prepared, index)[known])
    np.testing.assert_array_equal(mixed[~known], shared.predict(prepared, index)[~known])
    assert not np.allclose(mixed[~known], found.predict(prepared, index)[~known])


def test_maps_of_channels_load_to_the_same_forecasts_and_a_damaged_file_is_refused(tmp_path):
    prepared = of_two_kinds(tmp_path)
    found, report = fitted(prepared, tmp_path)
    loaded = Ridge.load(tmp_path, prepared.config)
    index = prepared.windows("test")
    np.testing.assert_array_equal(loaded.predict(prepared, index), found.predict(prepared, index))
    assert (loaded.notes, loaded.facts) == (report.notes, found.facts)
    replace(found, series=("on",)).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"has weights \(3, 27, 6\) and not \(2, 27, 6\)|\(3, 25, 6\) and not"):
        Ridge.load(tmp_path, prepared.config)
    replace(found, features=("moon",)).save(tmp_path)
    with pytest.raises(CheckpointError, match="its features are 'moon'"):
        Ridge.load(tmp_path, prepared.config)


def test_forecasts_do_not_depend_on_the_windows_beside_them(tmp_path):
    prepared = of_two_kinds(tmp_path)
    found, _ = fitted(prepared, tmp_path)
    index = prepared.windows("test")
    together = found.predict(prepared, index)
    order = np.random.default_rng(0).permutation(len(index))[:70]
    some = replace(index, channel=index.channel[order], origin=index.origin[order])
    np.testing.assert_array_equal(found.predict(prepared, some), together[order])


TOO_SHORT = "The table is too short to choose what the linear map should know."
ENDS = ("", ", drawn to the last value", ", drawn to the best simple rule")
PARTS = "; ".join(f"33% one map for all channels{end}" for end in ENDS)
ALIKE = "there was nothing to judge them by, so each counts alike"


def test_short_table_keeps_the_plain_map_and_says_so(tmp_path):
    found, report = fitted(prepared_of(tmp_path, {"load": noise(110), "price": noise(110)}), tmp_path)
    assert (found.features, found.series) == ((), ())
    assert set(found.tried) <= {"plain shared", "plain shared last", "plain shared rule"}
    assert report.notes[0] == TOO_SHORT


def test_maps_have_equal_shares_where_there_is_nothing_to_judge_them_by(tmp_path):
    """With stretches shorter than a horizon there is no window to judge by: a mean is safer than any choice."""
    load = np.tile([0.0, 5.0, 9.0, 4.0], 40) + noise(160)
    prepared = prepared_of(tmp_path, {"load": load}, context=12, horizon=24, split="80/40/40")
    found, report = fitted(prepared, tmp_path)
    names = ["plain shared", "plain shared last", "plain shared rule"]
    assert report.facts["map_shares"] == pytest.approx(dict.fromkeys(names, 1 / 3)) and found.tried == {}
    assert report.notes == (TOO_SHORT, f"The linear map is a weighted mean: {PARTS}; {ALIKE}.")
    index, mean_WH = prepared.windows("test"), 0.0
    for fallback in ("mean", "last", "rule"):
        part, _ = fitted(replace(prepared, config=prepared.config.updated(linear_fallback=fallback)), tmp_path)
        assert part.shares == {}
        mean_WH = mean_WH + part.predict(prepared, index) / 3
    np.testing.assert_allclose(found.predict(prepared, index), mean_WH)


def test_map_drawn_to_a_rule_is_better_where_there_are_few_rows_to_learn_from(tmp_path):
    """A hundred rows are too few to learn noisy days from: the mean of the last two days is the better forecast."""
    days = np.tile(2 * noise(24), 84)[:2000] + noise(2001)[1:]
    errors = {}
    for fallback in ("mean", "last", "rule"):
        prepared = prepared_of(
            tmp_path, {"load": days}, context=48, horizon=24, split="100/50/1850", linear_fallback=fallback, **PLAIN
        )
        found, _ = fitted(prepared, tmp_path)
        index = prepared.windows("test")
        actual_WH = prepared.values[index.origin[:, None] + np.arange(24), 0]
        errors[fallback] = np.square(found.predict(prepared, index) - actual_WH).mean()
    assert errors["rule"] < 0.9 * min(errors["mean"], errors["last"])


def test_a_horizon_with_few_independent_blocks_keeps_the_plain_map(tmp_path):
    for horizon, tried in ((24, 10), (70, 3)):  # judged by 11 + 8 blocks, and by 3 + 2
        found, report = fitted(of_two_kinds(tmp_path, horizon=horizon), tmp_path)
        assert len(found.tried) == tried, horizon
    assert (found.features, found.series) == ((), ())
    assert report.notes[0] == TOO_SHORT


def test_few_blocks_still_decide_what_the_plain_map_falls_back_to(tmp_path):
    walks = {name: noise(400, 3)[:, number].cumsum() for number, name in enumerate("abc")}
    prepared = prepared_of(tmp_path, walks, context=48, horizon=24)
    found, report = fitted(prepared, tmp_path)
    assert 0.1 < found.shares["plain shared last"] < 1 and found.shares["plain shared"] > 0.1
    assert "drawn to the last value" in report.notes[1]
    for fallback in ("mean", "last"):
        asked, _ = fitted(prepared_of(tmp_path, walks, context=48, horizon=24, linear_fallback=fallback), tmp_path)
        assert asked.tried == {} and asked.shares == {} and asked.features == ()


def test_many_channels_share_a_map_unless_own_ones_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_OWN_WORK", 1.0)
    found, report = fitted(of_two_kinds(tmp_path), tmp_path)
    assert found.series == () and "linear_maps=by_channel asks for them" in report.notes[0]
    asked, _ = fitted(of_two_kinds(tmp_path, linear_maps="by_channel"), tmp_path)
    assert asked.series == ("on", "back")


def test_thinned_windows_lead_to_the_same_choice(tmp_path, monkeypatch):
    whole, _ = fitted(of_two_kinds(tmp_path), tmp_path)
    monkeypatch.setattr("timellm.forecasters.ridge.trials.MOST_TRIED_WINDOWS", 1000)
    thinned, _ = fitted(of_two_kinds(tmp_path), tmp_path)
    assert next(iter(thinned.shares)) == next(iter(whole.shares)) and thinned.series == whole.series
    assert thinned.validation_loss == pytest.approx(whole.validation_loss, rel=0.02)


@pytest.mark.parametrize("after", [0, 3, 20])
def test_stop_leaves_nothing(tmp_path, after):
    prepared, calls = of_two_kinds(tmp_path), []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > after

    found, report = fitted(prepared, tmp_path, should_stop=stop)
    assert found is None and report.stopped and len(calls) == after + 1
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
