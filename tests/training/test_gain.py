"""A step takes the place of what training began with only if its validation error is surely lower."""

from __future__ import annotations

import numpy as np
import pytest

from timellm.training.gain import is_surely_lower

HORIZON = 10
ORIGIN_W = np.repeat(np.arange(0, 200, 2), 3)  # three channels, 20 blocks of a horizon


def losses(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, size=len(ORIGIN_W))


def test_the_same_errors_are_not_lower():
    assert not is_surely_lower(losses(), losses(), origin_W=ORIGIN_W, horizon=HORIZON)


def test_a_gain_in_every_window_is_sure_and_a_loss_is_not():
    assert is_surely_lower(losses() - 0.01, losses(), origin_W=ORIGIN_W, horizon=HORIZON)
    assert not is_surely_lower(losses() + 0.01, losses(), origin_W=ORIGIN_W, horizon=HORIZON)


def test_a_gain_from_one_block_alone_is_not_sure():
    better = losses()
    better[ORIGIN_W < HORIZON] -= 5.0
    better[ORIGIN_W >= HORIZON] += 0.01
    assert better.mean() < losses().mean()
    assert not is_surely_lower(better, losses(), origin_W=ORIGIN_W, horizon=HORIZON)


def test_luck_passes_as_often_as_one_standard_error_says():
    drawn = np.random.default_rng(1)
    blocks = np.searchsorted(np.unique(ORIGIN_W // HORIZON), ORIGIN_W // HORIZON)
    passed = [
        is_surely_lower(losses() + drawn.normal(size=20)[blocks], losses(), origin_W=ORIGIN_W, horizon=HORIZON)
        for _ in range(2000)
    ]
    assert 0.13 < np.mean(passed) < 0.20  # 0.165 of Student's t with 19 degrees of freedom lies below -1


def test_blocks_of_equal_sizes_give_the_standard_error_of_their_means():
    drawn = np.random.default_rng(2).normal(size=len(ORIGIN_W))
    means = drawn.reshape(20, -1).mean(axis=1)
    error = means.std(ddof=1) / np.sqrt(20)
    for shift, sure in ((-0.99, False), (-1.01, True)):
        difference = drawn - means.mean() + shift * error
        assert is_surely_lower(difference, 0 * drawn, origin_W=ORIGIN_W, horizon=HORIZON) is sure


def test_windows_of_one_block_count_by_their_mean():
    origin_W = np.arange(5) + 1000
    assert is_surely_lower(np.zeros(5), np.full(5, 0.1), origin_W=origin_W, horizon=HORIZON)
    assert not is_surely_lower(np.full(5, 0.1), np.zeros(5), origin_W=origin_W, horizon=HORIZON)


def test_series_of_a_panel_with_one_window_each_are_its_blocks():
    drawn, origin_W, channel_W = np.random.default_rng(3).normal(size=40), np.full(40, 700), np.arange(40)
    error = drawn.std(ddof=1) / np.sqrt(40)
    for shift, sure in ((-0.99, False), (-1.01, True)):
        difference = drawn - drawn.mean() + shift * error
        found = is_surely_lower(difference, 0 * drawn, origin_W=origin_W, horizon=HORIZON, channel_W=channel_W)
        assert found is sure
        few = slice(0, 7)  # too few series for a standard error: the mean alone decides
        lower = bool(difference[few].mean() < 0)
        assert lower is is_surely_lower(
            difference[few], 0 * drawn[few], origin_W=origin_W[few], horizon=HORIZON, channel_W=channel_W[few]
        )


def test_channels_are_no_blocks_where_windows_of_several_times_are():
    channel_W = np.tile(np.arange(3), 100)
    for losses_W in (losses(5), losses(0) - 0.01, losses(6)):
        with_channels = is_surely_lower(losses_W, losses(), origin_W=ORIGIN_W, horizon=HORIZON, channel_W=channel_W)
        assert with_channels is is_surely_lower(losses_W, losses(), origin_W=ORIGIN_W, horizon=HORIZON)


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_windows_does_not_matter(order):
    mixed = np.random.default_rng(order).permutation(len(ORIGIN_W))
    found = [
        is_surely_lower(losses(3)[which], losses(4)[which], origin_W=ORIGIN_W[which], horizon=HORIZON)
        for which in (slice(None), mixed)
    ]
    assert found[0] == found[1]
