"""Conditions of patches; what is called surely different is rarely chance, and is found where it is real."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.explain.readers import config_of, prepared_of, reader_of
from timellm.data.windows import WindowIndex
from timellm.errors import DataError
from timellm.explain.conditions import (
    PATTERNS,
    Days,
    Hours,
    Like,
    Month,
    Pattern,
    calendar_parts,
    correlation,
    months_in,
)
from timellm.explain.differences import Differences, differences, holm
from timellm.explain.period import PeriodAttention


@dataclass(frozen=True)
class Marked:
    """A condition that is given as it is."""

    meets_WP: np.ndarray
    words: str = "are marked"

    def meets(self, period: PeriodAttention) -> np.ndarray:
        return self.meets_WP


@pytest.fixture(scope="module")
def read(hourly_csv):
    config = config_of(hourly_csv)
    return PeriodAttention.of(reader_of(config), prepared_of(config), channel=0)


def made(read: PeriodAttention, weights_WPV: np.ndarray) -> PeriodAttention:
    """A period of windows one after the other, with this attention."""
    origin = 48 + np.arange(len(weights_WPV))
    index = WindowIndex(np.zeros(len(origin), np.int64), origin, 0)
    return replace(read, index=index, weights_WPV=weights_WPV.astype(np.float32))


def test_difference_and_its_error_are_those_of_two_ratios_over_blocks(read):
    random = np.random.default_rng(0)
    period = made(read, random.dirichlet(np.ones(5), size=(240, 3)))
    meets = random.random((240, 3)) < 0.3
    found = differences(period, Marked(meets))
    weights = period.weights_WPV.astype(np.float64)
    np.testing.assert_allclose(found.mean_V, weights[meets].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.all_V, weights.mean(axis=(0, 1)), rtol=1e-5)
    blocks = np.arange(240) // 48
    left = np.zeros((5, 5))
    for block in range(5):
        mine = blocks == block
        some, every = weights[mine][meets[mine]], weights[mine].reshape(-1, 5)
        left[block] = (some - found.mean_V).sum(axis=0) / (meets.sum() / 5)
        left[block] -= (every - found.all_V).sum(axis=0) / (240 * 3 / 5)
    np.testing.assert_allclose(found.error_V, np.sqrt((left**2).sum(axis=0) / (5 * 4)), rtol=1e-3)
    assert (found.blocks, found.patches, found.of) == (5, meets.sum(), 720)
    np.testing.assert_allclose(found.half_V, found.error_V * 2.776, rtol=1e-3)  # t of 4 degrees of freedom


def test_windows_that_move_together_are_rarely_called_surely_different(read):
    """Weeks differ, and nothing else does: the patches that are compared have nothing of their own."""
    random, wrong = np.random.default_rng(1), 0
    for _ in range(200):
        level = np.repeat(random.normal(size=(8, 1, 30)), 48, axis=0)  # of a block
        weights = np.exp(level + 0.2 * random.normal(size=(384, 2, 30)))
        period = made(read, weights / weights.sum(axis=-1, keepdims=True))
        wrong += differences(period, Marked(random.random((384, 2)) < 0.4)).sure_V.any()
    assert wrong <= 20  # 5 % are meant, of any of 30 prototypes


def test_prototype_that_rises_in_every_block_is_surely_different_and_comes_first(read):
    random = np.random.default_rng(2)
    weights, meets = random.dirichlet(np.full(30, 20), size=(384, 2)), random.random((384, 2)) < 0.3
    weights[meets, 7] += 0.05
    found = differences(made(read, weights / weights.sum(axis=-1, keepdims=True)), Marked(meets))
    assert found.sure_V[7] and found.order()[0] == 7 and found.difference_V[7] > 0.03
    frame = found.frame(tuple(f"{i}: word" for i in range(30)))
    assert frame.index[0] == "7: word" and frame["sure"].iloc[0] and frame["low"].iloc[0] > 0


def test_too_few_blocks_call_nothing_sure(read):
    random = np.random.default_rng(3)
    weights, meets = random.dirichlet(np.ones(4), size=(384, 1)), np.zeros((384, 1), bool)
    meets[: 3 * 48 : 2] = True  # in three of eight blocks
    weights[meets] = [1, 0, 0, 0]
    found = differences(made(read, weights), Marked(meets))
    assert found.blocks == 3 and found.too_few
    assert not found.sure_V.any() and np.isnan(found.half_V).all()


@pytest.mark.parametrize(("value", "text"), [(True, "all patches"), (False, "no patches")])
def test_condition_that_all_or_no_patches_meet_is_refused(read, value, text):
    with pytest.raises(DataError, match=f"{text} of the test period are marked, so there is nothing to compare"):
        differences(read, Marked(np.full((len(read.index), 8), value)))


def test_holm_goes_on_from_the_smallest_until_one_is_too_large():
    p = np.array([0.04, 0.001, 0.012, 0.03])
    assert holm(p).tolist() == [False, True, True, False]  # limits: 0.0125, 0.0167, 0.025, 0.05
    assert holm(np.full(3, 0.001)).all() and not holm(np.full(3, 0.5)).any()


def test_hours_may_go_over_midnight(read):
    hour_WP = read.of_middles("hour")
    np.testing.assert_array_equal(Hours(22, 5).meets(read), (hour_WP >= 22) | (hour_WP <= 5))
    np.testing.assert_array_equal(Hours(8, 8).meets(read), hour_WP == 8)
    assert Hours(22, 5).words == "lie between 22:00 and 05:59"


def test_days_and_months_part_the_patches(read):
    working, weekend = Days(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")), Days(("Saturday", "Sunday"))
    assert (working.meets(read) ^ weekend.meets(read)).all()
    assert weekend.words == "lie on Saturday and Sunday"
    assert months_in(read) == ("January",)
    assert Month("January").meets(read).all() and not Month("May").meets(read).any()


def test_parts_of_the_calendar_follow_the_step_of_the_rows():
    assert calendar_parts("hour") == ("Hours", "Days of the week", "Month")
    assert calendar_parts("day") == ("Days of the week", "Month")
    assert calendar_parts("month") == ("Month",) and calendar_parts("none") == ()


SHAPES = {
    "Peak": [0, 0.5, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    "Trough": [0, 0, -1.2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    "Rise": np.linspace(-1, 1, 12),
    "Fall": np.linspace(1, -1, 12),
    "Flat": np.full(12, 0.7),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern_is_found_where_it_is_and_nowhere_else(read, monkeypatch, name):
    patches_WPS = np.array(list(SHAPES.values()))[None]
    monkeypatch.setattr(PeriodAttention, "patches", lambda _: patches_WPS)
    assert dict(zip(SHAPES, Pattern(name).meets(read)[0].tolist(), strict=True)) == {one: one == name for one in SHAPES}


def test_patch_is_like_itself_whatever_its_level_and_size(read):
    context_T = read.prepared.table.values["load"].to_numpy()[-48:]
    like = Like.of(context_T, read.reader, patch=3, limit=0.9)
    scaled = Like.of(5 - 100 + 40 * context_T, read.reader, patch=3, limit=0.9)
    np.testing.assert_allclose(like.values, scaled.values, rtol=1e-3, atol=1e-4)
    meets = like.meets(read)
    hour = read.of_middles("hour")
    same = read.prepared.table.values.index[-48 + read.reader.spans_P2[2].sum() // 2].hour
    assert meets[:, 1:-1][hour[:, 1:-1] == same].mean() > 0.9, "the series repeats every day"
    assert meets.mean() < 0.5


def test_flat_patch_has_nothing_like_it(read):
    with pytest.raises(DataError, match="patch 2 is flat, so no patch is like it; choose another patch"):
        Like.of(np.full(48, 3.0), read.reader, patch=2, limit=0.8)


def test_correlation_is_numpys_and_zero_for_a_flat_patch():
    random = np.random.default_rng(0)
    patches, shape = random.normal(size=(4, 3, 12)), random.normal(size=12)
    patches[1, 1] = 2.0
    found = correlation(patches, shape)
    assert found[2, 2] == pytest.approx(np.corrcoef(patches[2, 2], shape)[0, 1])
    assert found[1, 1] == 0


def test_real_attention_differs_by_pattern_because_it_is_made_of_the_values(read):
    found = differences(read, Pattern("Rise"))
    assert isinstance(found, Differences) and 0 < found.patches < found.of
    assert np.abs(found.difference_V).max() > 0
