"""Step, missing rows, and changes of the clocks."""

import numpy as np
import pandas as pd
import pytest

from timellm.config import TaskConfig
from timellm.data.table import read_table
from timellm.quality.checks import check
from timellm.quality.clocks import zone_of_autumns, zone_of_springs

TASK = TaskConfig(context=48, horizon=12)


def written(tmp_path, index, **channels):
    path = tmp_path / "table.csv"
    pd.DataFrame(channels | {"ds": index}).to_csv(path, index=False)
    return read_table(path)


def test_step_is_named_with_its_evidence(look, daily_wave):
    (found,) = look(load=daily_wave(400)).of("frequency")
    assert (found.severity, found.count, found.share) == ("fact", 399, 1.0)
    assert found.values["step"] == "hour"


def test_missing_rows_are_counted_with_the_longest_gap_first_and_the_windows_they_cost(tmp_path, daily_wave):
    index = pd.date_range("2024-01-08", periods=400, freq="h").delete([100, 200, 201, 202, 203, 204])
    (found,) = check(written(tmp_path, index, load=daily_wave(394)), TASK).of("missing_rows")
    assert (found.count, found.share, found.channel) == (6, 6 / 400, None)
    assert [(span.first_row, span.last_row, span.line) for span in found.where] == [(200, 204, None), (100, 100, None)]
    assert found.where[0].start == pd.Timestamp("2024-01-16 08:00")
    # A window of 60 rows touches row 100 from 60 origins, and rows 200 to 204 from 64.
    assert (found.values["windows"], found.values["windows_left_out"]) == (341, 60 + 64)
    assert (found.repair.kind, found.repair.arguments) == ("fill", {"method": "linear"})


def test_long_gap_is_filled_from_a_season_before(tmp_path, daily_wave):
    index = pd.date_range("2024-01-08", periods=400, freq="h").delete(np.arange(100, 120))
    (found,) = check(written(tmp_path, index, load=daily_wave(380)), TASK).of("missing_rows")
    assert found.repair.arguments == {"method": "seasonal", "season": 24}


@pytest.mark.parametrize(
    ("zone", "named"),
    [
        ("Europe/Paris", "Europe/Berlin"),
        ("America/Chicago", "America/New_York"),
        ("Australia/Melbourne", "Australia/Sydney"),
    ],
)
def test_hours_skipped_in_spring_are_a_change_of_the_clocks_and_no_gap(tmp_path, zone, named):
    utc = pd.date_range("2022-01-01", "2023-12-31", freq="h", tz="UTC")
    local = utc.tz_convert(zone).tz_localize(None)
    local = local[~local.duplicated()]
    table = written(tmp_path, local, load=np.arange(len(local)) % 24)
    found = check(table, TASK)
    (clocks,) = found.of("daylight_saving")
    assert clocks.count == 2
    assert clocks.values["zone"] == named
    assert (clocks.repair.kind, clocks.repair.arguments) == ("time_zone", {"zone": named})
    assert not found.of("missing_rows")


def test_a_missing_hour_at_another_moment_is_no_change_of_the_clocks(tmp_path, daily_wave):
    index = pd.date_range("2024-03-01", periods=1000, freq="h").delete(300)
    found = check(written(tmp_path, index, load=daily_wave(999)), TASK)
    assert not found.of("daylight_saving")
    assert found.of("missing_rows")[0].count == 1


def test_quarter_hours_skipped_in_spring_are_recognised(tmp_path):
    local = (
        pd.date_range("2024-03-25", periods=1000, freq="15min", tz="UTC").tz_convert("Europe/Berlin").tz_localize(None)
    )
    (clocks,) = check(written(tmp_path, local, load=np.arange(1000) % 96), TASK).of("daylight_saving")
    assert clocks.where[0].rows == 4
    assert clocks.where[0].start == pd.Timestamp("2024-03-31 02:00")


def test_zones_are_told_apart_by_the_hour_of_change():
    springs = pd.DatetimeIndex(["2024-03-31 01:00", "2023-03-26 01:00"])
    assert zone_of_springs(springs)[0] == "Europe/London"
    autumns = pd.DatetimeIndex(["2024-11-03 01:00", "2023-11-05 01:00", "2023-06-01 00:00"])
    zone, twice = zone_of_autumns(autumns)
    assert (zone, twice.tolist()) == ("America/New_York", [True, True, False])
    assert zone_of_springs(pd.DatetimeIndex(["2024-06-01"]))[0] == ""
