"""The digest that says whether two runs are scored on the same windows, and what errors are measured against."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.windows import WindowIndex
from timellm.evaluation.metrics import seasonal_naive_error
from timellm.evaluation.windows import Reference, ScoredWindows, near_zero_share, window_set


def table(rows: int = 300, seed: int = 1, unit: str = "us") -> Table:
    hours = pd.date_range("2024-01-01", periods=rows, freq="h", name="date").as_unit(unit)
    values = np.random.default_rng(seed).normal(size=(rows, 2)) + 5
    return Table(pd.DataFrame(values, hours, columns=["load", "price"]), "h", "date", "wide", ())


def prepared(**changes) -> PreparedData:
    return PreparedData.of(table(), RunConfig.create("x.csv", context=24, horizon=6).updated(**changes))


INDEX = WindowIndex(np.array([0, 0, 1]), np.array([200, 210, 205]), 0)


def test_window_set_is_that_of_runs_with_another_context():
    short, long = (prepared(context=context) for context in (16, 48))
    sets = [window_set(one.table, one.windows("test"), horizon=6) for one in (short, long)]
    assert sets[0] == sets[1]


def test_window_set_does_not_look_at_rows_that_are_not_scored():
    whole = table()
    changed = whole.values.copy()
    changed.iloc[:200] += 1
    changed.iloc[216:] += 1
    assert window_set(replace(whole, values=changed), INDEX, horizon=6) == window_set(whole, INDEX, horizon=6)
    cut = replace(whole, values=whole.values.iloc[50:])
    moved = WindowIndex(INDEX.channel, INDEX.origin - 50, 0)
    assert window_set(cut, moved, horizon=6) == window_set(whole, INDEX, horizon=6)


def test_window_set_does_not_depend_on_the_order_of_windows_or_the_unit_of_time():
    expected = window_set(table(), INDEX, horizon=6)
    assert window_set(table(), WindowIndex(INDEX.channel[::-1], INDEX.origin[::-1], 0), horizon=6) == expected
    assert window_set(table(unit="ns"), INDEX, horizon=6) == expected


def test_window_set_changes_with_all_that_decides_the_windows():
    whole = table()
    value, gap, later = whole.values.copy(), whole.values.copy(), whole.values.copy()
    value.iloc[203, 1] += 1e-9
    gap.iloc[203, 1] = np.nan
    later.index = later.index + pd.Timedelta(hours=1)
    renamed = whole.values.rename(columns={"load": "demand"})
    sets = [window_set(whole, INDEX, horizon=6), window_set(whole, INDEX, horizon=5)]
    sets += [window_set(replace(whole, values=values), INDEX, horizon=6) for values in (value, gap, later, renamed)]
    sets += [
        window_set(whole, WindowIndex(INDEX.channel, INDEX.origin + shift, 0), horizon=6)
        for shift in (1, np.array([0, 1, 0]))
    ]
    sets.append(window_set(whole, WindowIndex(1 - INDEX.channel, INDEX.origin, 0), horizon=6))
    assert len(set(sets)) == len(sets)


def test_scored_windows_say_how_far_they_overlap():
    scored = ScoredWindows.of(prepared(), INDEX, season=24, season_name="day")
    assert (scored.windows, scored.cutoffs, scored.first_origin, scored.span) == (3, 3, 200, 16)
    assert scored.independent == pytest.approx(16 / 6)
    assert ScoredWindows.of(prepared(), INDEX, season=24).season_name == "24 rows"
    assert ScoredWindows.from_dict(scored.to_dict()) == scored
    one = WindowIndex(np.array([0, 1]), np.array([200, 200]), 0)
    assert ScoredWindows.of(prepared(), one, season=24).independent == 1


def test_few_windows_that_lie_far_apart_are_no_more_than_they_are():
    apart = WindowIndex(np.array([0, 0]), np.array([100, 290]), 0)
    assert ScoredWindows.of(prepared(), apart, season=24).independent == 2


def test_reference_rests_on_the_training_rows():
    given = prepared()
    reference = Reference.of(given, season=24)
    training = given.values[: given.split.train_end]
    np.testing.assert_allclose(reference.scale, training.std(axis=0))
    np.testing.assert_array_equal(reference.naive_error, seasonal_naive_error(training, 24))


def test_near_zero_share_counts_values_beside_zero_for_each_channel():
    values = np.array([[10.0, 0.0], [0.05, 0.0], [10.0, np.nan], [-10.0, 0.0]])
    assert near_zero_share(values) == 4 / 7
    assert near_zero_share(1000 * values) == 4 / 7
    assert near_zero_share(np.full((3, 1), np.nan)) == 0
