"""Gaps: a context is filled from what was known before its origin, a target never, and the future changes nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.gaps import Past, last_context
from timellm.data.prepared import PreparedData
from timellm.data.source import WindowSource
from timellm.data.table import Table
from timellm.data.windows import Split, index_windows

NAN = np.nan
RISE = np.array([100, 200, NAN, NAN, NAN, 1000, 1100], float)


def gappy(rows: int = 200, channels: int = 3, share: float = 0.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, channels)).cumsum(axis=0)
    values[rng.random(values.shape) < share] = NAN
    values[:5, 1] = NAN
    values[60:90, 2] = NAN
    return values


def filled(values: np.ndarray, origin: int, context: int) -> list[float]:
    """One channel's context, filled as the rules are told, row by row."""
    found = []
    for row in range(origin - context, origin):
        before = [r for r in range(row + 1) if not np.isnan(values[r])]
        after = [r for r in range(row, origin) if not np.isnan(values[r])]
        if before and after:
            left, right = before[-1], after[0]
            share = (row - left) / (right - left) if right > left else 0.0
            found.append((1 - share) * values[left] + share * values[right])
        else:
            found.append(values[before[-1]])
    return found


def table(values: np.ndarray) -> Table:
    index = pd.date_range("2020-01-01", periods=len(values), freq="h", name="ds", unit="us")
    return Table(pd.DataFrame(values, index=index, columns=list("abc"[: values.shape[1]])), "h", "ds", "wide", ())


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (5, [100, 200, 200, 200, 200]),  # the value that comes is 1000, and no row knows it
        (6, [200, 400, 600, 800, 1000]),
        (7, [400, 600, 800, 1000, 1100]),  # the left end lies before the context
    ],
)
def test_a_gap_is_filled_by_what_was_known_before_the_origin(origin, expected):
    source = WindowSource(RISE[:, None], context=5, horizon=1, missing="interpolate")
    assert source.contexts(np.array([0]), origin=np.array([origin])).tolist() == [expected]
    assert last_context(RISE[:origin], rows=5, missing="interpolate").tolist() == expected


@pytest.mark.parametrize("context", [8, 24])
def test_contexts_equal_a_plain_loop(context):
    values = gappy()
    found = index_windows(
        values, Split(150, 175, 200), part="training", context=context, horizon=2, missing="interpolate"
    )
    source = WindowSource(values, context=context, horizon=2, missing="interpolate")
    contexts, targets = source.gather(found.channel, origin=found.origin)
    assert len(found) > 50
    for row, (channel, origin) in enumerate(zip(found.channel, found.origin, strict=True)):
        np.testing.assert_allclose(contexts[row], filled(values[:, channel], origin, context), rtol=1e-6)
        np.testing.assert_array_equal(targets[row], values[origin : origin + 2, channel].astype(np.float32))
    np.testing.assert_array_equal(contexts, source.contexts(found.channel, origin=found.origin))


@pytest.mark.parametrize("seed", range(3))
def test_scrambling_everything_from_the_origin_on_changes_no_context(seed):
    values, context = gappy(seed=seed), 24
    before = WindowSource(values, context=context, horizon=4, missing="interpolate")
    rng = np.random.default_rng(seed)
    for origin in range(context, len(values) + 1):
        changed = values.copy()
        changed[origin:] = np.where(rng.random(changed[origin:].shape) < 0.5, NAN, 1e6 * rng.random())
        after = WindowSource(changed, context=context, horizon=4, missing="interpolate")
        place = (np.arange(3), np.full(3, origin))
        one, other = (source.contexts(place[0], origin=place[1]).numpy() for source in (before, after))
        np.testing.assert_array_equal(one, other)


def test_no_window_has_a_gap_in_its_target():
    values = gappy(share=0.1)
    for part in ("training", "validation", "test"):
        found = index_windows(values, Split(120, 150, 200), part=part, context=24, horizon=6, missing="interpolate")
        rows = found.origin[:, None] + np.arange(6)
        assert len(found) and not np.isnan(values[rows, found.channel[:, None]]).any()


def test_windows_without_a_known_value_before_or_in_their_context_are_left_out():
    values = np.arange(100.0)[:, None].repeat(2, axis=1)
    values[:30, 0] = NAN
    values[40:60, 1] = NAN
    found = index_windows(values, Split(98, 99, 100), part="training", context=10, horizon=1, missing="interpolate")
    assert found.origin[found.channel == 0].min() == 40  # row 30 is the first known one
    late = found.origin[(found.channel == 1) & (found.origin >= 40)]
    assert late.min() == 61  # targets 40 to 59 are missing, and so is all of rows 50 to 59


def test_a_table_without_gaps_is_cut_as_without_filling():
    values = np.random.default_rng(0).normal(size=(50, 2))
    assert Past.of(values, "interpolate").last_NR is None
    sources = [WindowSource(values, context=8, horizon=4, missing=missing) for missing in ("skip", "interpolate")]
    windows = [source.gather(np.array([0, 1]), origin=np.array([10, 20])) for source in sources]
    for one, other in zip(*windows, strict=True):
        np.testing.assert_array_equal(one, other)


def test_filling_leaves_the_table_as_it_is():
    values = gappy()
    copied = values.copy()
    Past.of(values, "interpolate")
    Past.of(values[:, :1], "interpolate")
    np.testing.assert_array_equal(values, copied)


def test_the_scale_is_fitted_on_known_values_alone():
    values = np.concatenate([RISE, np.linspace(0, 1, 93)])[:, None]
    config = RunConfig.create("x.csv", missing="interpolate", context=8, patch_length=8, horizon=2, split="7/50/43")
    prepared = PreparedData.of(table(values), config)
    known = RISE[~np.isnan(RISE)]
    assert prepared.scaler.mean == pytest.approx([known.mean()])
    assert prepared.scaler.scale == pytest.approx([known.std()])
    assert np.isnan(prepared.training_values).sum() == 3, "the naive error is that of known values, too"
