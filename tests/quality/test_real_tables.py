"""What is found in the bundled samples: what is there, and few false alarms."""

import pytest

from timellm.config import TaskConfig
from timellm.data.samples import find_sample
from timellm.data.season import suggest_lengths
from timellm.data.table import read_table
from timellm.data.uploads import table_path
from timellm.quality.checks import check

STATISTICAL = ("outliers", "level_shift", "growing_variance", "leak", "copy", "nearly_constant", "counter")


def quality_of(key):
    assert find_sample(key)
    table = read_table(table_path(f"sample:{key}"))
    context, horizon = suggest_lengths(table, TaskConfig())
    return check(table, TaskConfig(context=context, horizon=horizon))


@pytest.mark.parametrize(
    ("key", "alarms"),
    [
        # Its daily mean rises from about 700 to 1200 within a day, and stays there.
        ("melbourne-pedestrians", [("level_shift", "Bourke Street Mall", "2016-01-12")]),
        ("seattle-weather", []),
    ],
)
def test_samples_have_no_false_alarm(key, alarms):
    quality = quality_of(key)
    found = [one for kind in STATISTICAL for one in quality.of(kind)]
    assert [(one.kind, one.channel, str(one.where[0].start.date())) for one in found] == alarms
    assert not quality.of("too_short") and not quality.of("few_rows")


def test_pedestrians_have_a_day_and_a_week_and_rain_and_wind_are_not_predictable():
    seasons = [one["rows"] for one in quality_of("melbourne-pedestrians").of("seasons")[0].values["seasons"]]
    assert seasons == [24, 168]
    weather = quality_of("seattle-weather")
    assert weather.of("predictability")[0].values["without_skill"] == ["precipitation", "wind"]
    assert [one["rows"] for one in weather.of("seasons")[0].values["seasons"]] == [365]
