"""Local clocks with their missing spring hour and doubled autumn hour, made regular in one step."""

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.errors import DataError, RepairableError

BERLIN = "timezone:Europe/Berlin"


def local_csv(path, zone, step="h", *, first="2024-03-20", last="2024-11-05", order=lambda frame: frame, lose=()):
    """A table on the local clock of a zone, whose value is the hour in UTC since 2024-01-01; and its moments in UTC."""
    utc = pd.date_range(first, last, freq=step, tz="UTC")
    value = (utc - pd.Timestamp("2024-01-01", tz="UTC")) / pd.Timedelta(hours=1)
    frame = pd.DataFrame({"date": utc.tz_convert(zone).strftime("%Y-%m-%d %H:%M"), "load": value})
    order(frame.drop(index=list(lose))).to_csv(path, index=False)
    return utc.tz_localize(None), value


@pytest.mark.parametrize("step", ["h", "15min"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("order", ["as it was", "newest first", "sorted by clock"])
def test_a_local_clock_becomes_utc(tmp_path, zone, step, order):
    turn = {
        "as it was": lambda frame: frame,
        "newest first": lambda frame: frame.iloc[::-1],
        "sorted by clock": lambda frame: frame.sort_values("date", kind="stable"),
    }[order]
    path = tmp_path / "local.csv"
    utc, value = local_csv(path, zone, step, order=turn)
    with pytest.raises(RepairableError) as error:
        timellm.read_table(path)
    fitting = [one for one in error.value.repairs if one.startswith("timezone")]
    assert f"timezone:{zone}:utc" in fitting
    table = timellm.read_table(path, repair=(f"timezone:{zone}",))
    pd.testing.assert_index_equal(table.values.index, utc, check_names=False, exact=False, check_freq=False)
    np.testing.assert_allclose(table.values["load"], value)
    told = 2 * pd.Timedelta(hours=1) // pd.Timedelta(table.offset)
    assert f"{told:,} records of doubled autumn hours are told apart" in table.repairs[0].sentence


def test_standard_time_all_year_is_utc_moved_by_the_offset_of_winter(tmp_path):
    for zone, hours in (("Europe/Berlin", 1), ("America/New_York", -5), ("Australia/Sydney", 10), ("Europe/Dublin", 0)):
        utc, value = local_csv(tmp_path / "local.csv", zone)
        table = timellm.read_table(tmp_path / "local.csv", repair=(f"timezone:{zone}:standard",))
        assert table.values.index[0] == utc[0] + pd.Timedelta(hours=hours), zone
        np.testing.assert_allclose(table.values["load"], value)


def test_zones_of_another_rule_are_not_offered(tmp_path):
    local_csv(tmp_path / "berlin.csv", "Europe/Berlin")
    with pytest.raises(RepairableError) as error:
        timellm.read_table(tmp_path / "berlin.csv")
    assert [step for step in error.value.repairs if "timezone" in step] == ["timezone:Europe/Berlin:utc"]


def test_a_doubled_hour_that_stands_once_is_read_in_standard_time_and_said(tmp_path):
    utc, _ = local_csv(tmp_path / "local.csv", "Europe/Berlin")
    summer = int(np.flatnonzero(utc == pd.Timestamp("2024-10-27 00:00"))[0])  # 02:00 for the first time
    local_csv(tmp_path / "local.csv", "Europe/Berlin", lose=[summer])
    table = timellm.read_table(tmp_path / "local.csv", repair=(BERLIN,))
    assert np.flatnonzero(table.values["load"].isna()).tolist() == [summer]
    assert "In 1 autumn nights, such as 2024-10-27, the doubled hour stands once" in table.repairs[0].sentence


def test_a_record_in_the_skipped_hour_refuses_the_zone_unless_it_is_empty(tmp_path):
    path = tmp_path / "day.csv"
    hours = pd.date_range("2024-03-30", "2024-04-02", freq="h")
    frame = pd.DataFrame({"date": hours, "load": 1.0})
    frame.to_csv(path, index=False)
    with pytest.raises(DataError, match="line 28: 2024-03-31 02:00:00 does not exist on the clock of Europe/Berlin"):
        timellm.read_table(path, repair=(BERLIN,))
    frame.loc[frame["date"] == "2024-03-31 02:00", "load"] = np.nan
    frame.to_csv(path, index=False)
    table = timellm.read_table(path, repair=(BERLIN,))
    assert not table.values["load"].isna().any() and len(table.values) == len(hours) - 1


def test_a_file_with_offsets_is_utc_already(tmp_path):
    path = tmp_path / "offsets.csv"
    utc = pd.date_range("2024-10-26", periods=60, freq="h", tz="UTC")
    pd.DataFrame({"date": utc.tz_convert("Europe/Berlin").map(str), "load": 1.0}).to_csv(path, index=False)
    table = timellm.read_table(path, repair=(BERLIN,))
    assert table.values.index[0] == utc[0].tz_localize(None) and len(table.values) == 60
    moved = timellm.read_table(path, repair=(f"{BERLIN}:standard",))
    assert moved.values.index[0] == pd.Timestamp("2024-10-26 01:00")


def test_series_of_a_long_table_have_a_doubled_hour_each(tmp_path):
    path = tmp_path / "long.csv"
    utc = pd.date_range("2024-10-26", periods=60, freq="h", tz="UTC")
    local = utc.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M")
    frame = pd.concat([pd.DataFrame({"unique_id": name, "ds": local, "y": range(60)}) for name in "ab"])
    frame.sort_values("ds", kind="stable").to_csv(path, index=False)
    table = timellm.read_table(path, repair=(BERLIN,))
    assert table.values["a"].tolist() == table.values["b"].tolist() == list(range(60))


def test_what_is_known_ahead_follows_the_clock(tmp_path):
    utc, _ = local_csv(tmp_path / "local.csv", "Europe/Berlin", first="2024-10-20", last="2024-10-30")
    later = pd.date_range("2024-10-20", "2024-11-02", freq="h", tz="UTC")
    frame = pd.DataFrame(
        {"date": later.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M"), "plan": range(len(later))}
    )
    frame.to_csv(tmp_path / "ahead.csv", index=False)
    table = timellm.read_table(
        tmp_path / "local.csv", known_ahead=("plan",), known_file=str(tmp_path / "ahead.csv"), repair=(BERLIN,)
    )
    assert table.known is not None
    assert table.known.values_SNK[:, 0, 0].tolist() == list(range(len(later)))
    assert len(table.values) == len(utc)
