"""What differs between the table that a run learned from and a newer one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from timellm.data.table import Table
from timellm.forecasting.newer import differences

CONTEXT = 48


@pytest.fixture(scope="module")
def grown() -> Table:
    """600 hourly rows of two channels with a daily rhythm."""
    hour, rng = np.arange(600), np.random.default_rng(0)
    rhythm = 10 * np.sin(2 * np.pi * hour / 24)
    values = pd.DataFrame(
        {"load": 50 + rhythm + rng.normal(size=600), "price": 12 + rng.normal(size=600)},
        index=pd.date_range("2024-01-01", periods=600, freq="h", name="ds"),
    )
    return Table(values, "h", "time", "wide", ())


@pytest.fixture(scope="module")
def own(grown) -> Table:
    return replace(grown, values=grown.values.iloc[:500])


def found(own, other):
    return {(one.kind, one.channel): one for one in differences(own, other, context=CONTEXT)}


def changed(table, **columns) -> Table:
    return replace(table, values=table.values.assign(**columns))


def test_continuation_differs_in_nothing_but_its_rows(own, grown):
    (rows,) = differences(own, grown, context=CONTEXT)
    assert (rows.kind, rows.grave) == ("rows", False)
    assert rows.sentence == (
        "It has 100 rows after 2024-01-21 19:00, the end of the run's own table, up to 2024-01-25 23:00, and 500 "
        "rows that both have."
    )


def test_rows_that_neither_table_has_are_counted(own, grown):
    rows = found(own, replace(grown, values=grown.values.iloc[510:]))[("rows", None)]
    assert rows.grave and "Between the two, 10 rows are in neither." in rows.sentence


def test_rows_that_follow_at_once_leave_nothing_out(own, grown):
    rows = found(own, replace(grown, values=grown.values.iloc[500:]))[("rows", None)]
    assert not rows.grave and rows.sentence.endswith("and none that both have.")


def test_table_that_ends_earlier_is_no_mistake(own, grown):
    rows = found(own, replace(grown, values=grown.values.iloc[:400]))[("rows", None)]
    assert not rows.grave and "no row after 2024-01-21 19:00" in rows.sentence


def test_values_that_were_changed_are_counted_with_the_first(own, grown):
    load = grown.values["load"].copy()
    load.iloc[[30, 31]] = 49.5
    revised = found(own, changed(grown, load=load))[("revised", None)]
    assert revised.grave and "Of 1,000 values that both have, 2 were changed" in revised.sentence
    assert "'load' at 2024-01-02 06:00: 49.5, before" in revised.sentence


def test_rounding_of_a_file_is_no_change(own, grown):
    assert ("revised", None) not in found(own, changed(grown, load=grown.values["load"] * (1 + 1e-12)))


def test_another_series_at_the_same_times_is_called_so(own, grown):
    other = changed(grown, load=grown.values["load"][::-1].to_numpy(), price=grown.values["price"][::-1].to_numpy())
    revised = found(own, other)[("revised", None)]
    assert not revised.grave and "it is another series" in revised.sentence


def test_further_columns_are_named(own, grown):
    assert "'water'" in found(own, changed(grown, water=1.0))[("columns", None)].sentence


def test_values_beyond_the_range_and_their_level_are_named(own, grown):
    load = grown.values["load"].copy()
    load.iloc[-24:] += 100
    seen = found(own, changed(grown, load=load))
    assert "of its last 48 values, 24 lie outside" in seen[("range", "load")].sentence
    assert {kind for kind, channel in seen if channel == "load"} == {"range", "level", "spread"}
    assert not any(channel == "price" for _, channel in seen)


def test_level_that_no_stretch_had_is_named_within_the_range(own, grown):
    load = grown.values["load"].copy()
    load.iloc[-48:] = 58 + 0.1 * np.arange(48) % 1
    level = found(own, changed(grown, load=load))[("level", "load")]
    assert level.grave and "the mean of its last 48 values is 58.4" in level.sentence


def test_channel_without_values_at_its_end_is_left_to_the_forecast(own, grown):
    price = grown.values["price"].copy()
    price.iloc[-60:] = np.nan
    assert not any(channel == "price" for _, channel in found(own, changed(grown, price=price)))
