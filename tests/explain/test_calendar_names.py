"""A calendar name says what is true of most of the moments and not of the others, or there is none."""

import numpy as np
import pandas as pd
import pytest

from timellm.explain.calendar_names import calendar_name

HOURS = pd.date_range("2024-01-01", periods=24 * 7 * 8, freq="h")


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        (HOURS.day_of_week == 5, "mostly Saturday"),
        (HOURS.day_of_week >= 5, "mostly Saturday and Sunday"),
        (HOURS.day_of_week < 5, "mostly Monday to Friday"),
        (HOURS.hour == 4, "mostly 4 to 5 h"),
        ((HOURS.day_of_week == 5) & HOURS.hour.isin(range(10, 20)), "mostly Saturday, 10 to 16 h"),
        (HOURS.hour.isin([23, 0]), "mostly 23 to 1 h"),
    ],
)
def test_moments_are_named_by_what_they_share(chosen, name):
    # The shortest stretch with 60 % of ten equal hours is six of them.
    assert calendar_name(HOURS[chosen], among=HOURS) == name


def test_moments_drawn_at_random_have_no_name():
    for seed in range(30):
        chosen = np.random.default_rng(seed).permutation(len(HOURS))[:200]
        assert calendar_name(HOURS[np.sort(chosen)], among=HOURS) is None


def test_share_alone_is_no_name_where_the_others_have_it_too():
    working = HOURS[HOURS.day_of_week < 5]
    assert calendar_name(working[::2], among=working) is None


def test_day_and_hours_are_joined_only_where_both_hold_for_most():
    saturdays, nights = HOURS[HOURS.day_of_week == 5], HOURS[(HOURS.hour == 3) & (HOURS.day_of_week != 5)]
    moments = saturdays[(saturdays.hour > 8)].append(nights)
    name = calendar_name(moments, among=HOURS)
    assert name is not None and "," not in name


def test_few_moments_have_no_name():
    assert calendar_name(HOURS[:19], among=HOURS) is None
    assert calendar_name(HOURS[:-19], among=HOURS) is None


def test_moments_that_occur_twice_are_counted_twice():
    twice = HOURS.append(HOURS)
    assert calendar_name(twice[twice.day_of_week == 6], among=twice) == "mostly Sunday"
    assert calendar_name(HOURS, among=twice) is None  # the others are the same


def test_days_are_named_by_months():
    days = pd.date_range("2014-01-01", periods=365 * 4, freq="D")
    assert calendar_name(days[days.month.isin([12, 1, 2])], among=days) in (
        "mostly December to January",
        "mostly January to February",
        "mostly December to February",
    )
    assert calendar_name(days[days.month == 7], among=days) == "mostly July"
