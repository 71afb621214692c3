"""The coverage card: promised and achieved, and a reason where the two differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from timellm.errors import CheckpointError, ConfigError
from timellm.evaluation.coverage import (
    ADAPTIVE,
    CARD_LEVELS,
    COVERAGE,
    OWN,
    ROUND,
    SPLIT,
    CoverageCard,
    CoverageSums,
    Measured,
)

CHANNELS = ("a", "b")
SCALE_N = np.array([2.0, 10.0])


def windows(channel, half, seed=0):
    actual_WH = SCALE_N[channel] * np.random.default_rng(seed).normal(size=(50, 3))
    half_WHL = np.broadcast_to(half * np.arange(1, 6), (50, 3, 5))
    return actual_WH, -half_WHL, half_WHL


def measured(**changes):
    facts = {"own": "Ridge", "cutoffs": 50, "calibrated_on": 40, "independent": 4.2, "error_ratio": 1.0}
    return Measured(**(facts | changes))


def card(coverage=None, **facts):
    sums = CoverageSums(SCALE_N, 3)
    for channel in (0, 1):
        sums.add(channel, *windows(channel, half=channel + 1.0))
    frames = [sums.rows("Ridge", ADAPTIVE, CHANNELS), sums.rows("Ridge", SPLIT, CHANNELS)]
    wide = CoverageSums(SCALE_N, 3)
    wide.add(0, *windows(0, half=9.0))
    frames.append(wide.rows("Last value", SPLIT, CHANNELS))
    one = CoverageCard.of(frames, measured(**facts))
    if coverage is not None:
        one.rows.loc[one.rows["model"] == "Ridge", "coverage"] = coverage
    return one


def test_card_counts_what_lay_inside_by_channel_and_by_step():
    one, place = card(), CARD_LEVELS.index(80)
    actual_WH, low_WHL, high_WHL = windows(0, half=1.0)
    inside_WH = (actual_WH >= low_WHL[..., place]) & (actual_WH <= high_WHL[..., place])
    (row,) = one.at(80, by="channel").query("key == 'a'").to_dict("records")
    assert row["points"] == 150 and row["coverage"] == pytest.approx(inside_WH.mean())
    assert row["width"] == pytest.approx((high_WHL - low_WHL)[..., place].mean() / 2)
    outside_WH = np.maximum(np.abs(actual_WH) - high_WHL[..., place], 0)
    assert row["winkler"] == pytest.approx(row["width"] + 2 / 0.2 * outside_WH.mean() / 2)
    steps = one.at(80, by="step")
    assert list(steps["key"]) == ["1", "2", "3"] and set(steps["points"]) == {100}
    assert one.achieved(80) == pytest.approx(steps["coverage"].mean())


def test_points_without_an_actual_value_or_a_band_are_left_out():
    sums = CoverageSums(SCALE_N, 3)
    actual_WH, low_WHL, high_WHL = (one.copy() for one in windows(0, half=1.0))
    actual_WH[:5] = np.nan
    low_WHL[5:8, :, CARD_LEVELS.index(99)] = np.nan
    sums.add(0, actual_WH, low_WHL, high_WHL)
    rows = sums.rows("Ridge", ADAPTIVE, CHANNELS).query("by == 'overall'").set_index("level")
    assert (rows.at[80, "points"], rows.at[99, "points"]) == (135, 126)
    undefined = sums.rows("Ridge", ADAPTIVE, CHANNELS).query("by == 'channel' and key == 'b'")
    assert undefined["coverage"].isna().all() and (undefined["points"] == 0).all()


def test_card_comes_back_from_its_file(tmp_path):
    one = card()
    one.write(tmp_path / COVERAGE)
    found = CoverageCard.read(tmp_path / COVERAGE)
    pd.testing.assert_frame_equal(found.rows, one.rows, check_dtype=False)
    assert found.measured == one.measured
    assert CoverageCard.read(tmp_path / "none.parquet") is None
    data = bytearray((tmp_path / COVERAGE).read_bytes())
    data[60] ^= 4
    (tmp_path / COVERAGE).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"damaged .*; evaluate the run again"):
        CoverageCard.read(tmp_path / COVERAGE)


def test_sentence_says_what_was_promised_and_achieved():
    assert card(0.81).sentence(80) == (
        "Of the values in the test period, 81.0% lay inside the 80 % band (81.0% without adapting to the test period)."
    )
    assert card(np.nan).sentence(95) == (
        "There is no 95 % band: it needs more validation windows of each channel than the 40 that there are."
    )


@pytest.mark.parametrize(
    ("coverage", "ratio", "reason"),
    [
        (0.70, 1.5, "That is 10 points off: the middle error in the test period is 1.5 times as large as that on the"),
        (0.90, 0.6, "That is 10 points off: the middle error in the test period is 40% smaller than that on the"),
        (0.70, 0.6, "That is 10 points off. The validation part holds 4 windows that do not overlap, so that its"),
        (0.70, None, "That is 10 points off. The validation part holds 4 windows that do not overlap, so that its"),
    ],
)
def test_sentence_says_why_coverage_is_off(coverage, ratio, reason):
    assert reason in card(coverage, error_ratio=ratio).sentence(80)
    assert card(0.82, error_ratio=ratio).why_off(80) == ""


@pytest.mark.parametrize(
    ("quantiles", "plain", "said"),
    [
        (0.9, 1.0, "So the quantiles made its Winkler score 10.0% lower."),
        (1.1, 1.0, "So the quantiles made its Winkler score 10.0% higher: leave 'quantiles' empty here."),
        (np.nan, 1.0, "and 1."),
    ],
)
def test_card_says_whether_quantiles_were_worth_it(quantiles, plain, said):
    scores = {ADAPTIVE: 1.0, SPLIT: quantiles, OWN: 1.0, ROUND: plain}
    rows = [card().rows.query("model == 'Ridge' and method == @ADAPTIVE").assign(method=one, winkler=score)
            for one, score in scores.items()]  # fmt: skip
    one = CoverageCard.of(rows, measured(quantiles=(0.1, 0.9)))
    assert one.made_of(80).endswith(said) and one.made_of(80).startswith("Bands are made of the model's own quantiles")
    assert card().made_of(80).startswith("Bands lie round the forecast")


def test_card_compares_with_the_best_other_bands_and_refuses_other_levels():
    name, width, winkler = card().rival(80)
    assert name == "Last value" and winkler >= width == pytest.approx(2 * 9 * 2 / 2)
    with pytest.raises(ConfigError, match="the coverage card has levels 50, 80, 90, 95, 99, and not 85"):
        card().at(85)
