"""Repairs of tables: what each step does to the numbers, what it reports, and what it refuses; the file stays."""

import copy

import numpy as np
import pandas as pd
import pytest

import timellm
from timellm.errors import ConfigError, DataError, QuestionError, RepairableError


@pytest.fixture
def write(tmp_path):
    def one(text: str, name: str = "t.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return one


def rows(*pairs, head="date,load"):
    return "\n".join([head, *(f"{when},{value}" for when, value in pairs)]) + "\n"


DOUBLED = rows(*((f"2024-01-{day:02d}", day) for day in range(1, 9)), ("2024-01-08", 20), ("2024-01-08", ""))


@pytest.mark.parametrize(("how", "last"), [("mean", 14), ("sum", 28), ("last", 20), ("first", 8)])
def test_rows_of_one_timestamp_become_one(write, how, last):
    path = write(DOUBLED)
    before = path.read_bytes()
    table = timellm.read_table(path, repair=(f"duplicates:{how}",))
    assert table.values["load"].tolist() == [1, 2, 3, 4, 5, 6, 7, last]
    (report,) = table.repairs
    assert (report.changed, report.removed, report.places) == ({"load": 1}, {"load": 1}, ("2024-01-08 00:00:00",))
    assert any("2 records stood at a timestamp that was there already" in note for note in table.notes)
    assert path.read_bytes() == before


def test_a_refused_table_names_the_repairs_that_make_it_readable(write):
    path = write(DOUBLED)
    with pytest.raises(RepairableError, match=r"line 10: .* already stands in line 9") as error:
        timellm.read_table(path)
    assert error.value.repairs == ("duplicates:mean", "duplicates:last", "duplicates:sum")
    assert copy.copy(error.value).repairs == error.value.repairs
    for step in error.value.repairs:
        assert len(timellm.read_table(path, repair=(step,)).values) == 8


def test_a_long_table_is_repaired_series_by_series(write):
    lines = [(f"{name},2024-01-{day:02d}", day * size) for name, size in (("a", 1), ("b", 10)) for day in (1, 2, 3, 4)]
    path = write(rows(*lines, ("b,2024-01-04", 60), head="unique_id,ds,y"))
    table = timellm.read_table(path, repair=("duplicates:mean", "clip:2::a"))
    assert table.values["a"].tolist() == [2, 2, 3, 4]
    assert table.values["b"].tolist() == [10, 20, 30, 50]
    assert [report.changed for report in table.repairs] == [{"b": 1}, {"a": 1}]
    only = timellm.read_table(path, repair=("duplicates:mean", "drop:channel:a"))
    assert only.channels == ("b",) and only.values["b"].tolist() == [10, 20, 30, 50]


UNEVEN = rows(
    ("2024-01-01 00:05", 1), ("2024-01-01 00:50", 3), ("2024-01-01 01:10", 5), ("2024-01-01 03:00", ""),
    ("2024-01-01 03:20", 8), ("2024-01-01 04:00", 9), ("2024-01-01 04:59", 1),
)  # fmt: skip


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [2, 5, np.nan, 8, 5]),
        ("sum", [4, 5, np.nan, 8, 10]),
        ("last", [3, 5, np.nan, 8, 1]),
        ("max", [3, 5, np.nan, 8, 9]),
        ("min", [1, 5, np.nan, 8, 1]),
    ],
)
def test_uneven_records_become_even_rows(write, how, expected):
    path = write(UNEVEN)
    with pytest.raises(RepairableError) as error:
        timellm.read_table(path)
    assert "resample:1h:mean" in error.value.repairs
    table = timellm.read_table(path, repair=(f"resample:1h:{how}",))
    assert table.frequency == "h"
    np.testing.assert_array_equal(table.values["load"], expected)
    # 2 hours are of two values each, and 2 more have one value that was recorded later in the hour.
    assert table.repairs[0].changed == {"load": 4} and table.repairs[0].removed == {"load": 2}


def test_a_step_that_the_table_covers_in_part_is_left_out(write):
    hours = pd.date_range("2024-01-01 12:00", "2024-01-05 17:00", freq="h")
    path = write(rows(*((when, 1) for when in hours)))
    table = timellm.read_table(path, repair=("resample:D:sum",))
    assert table.values["load"].to_dict() == dict.fromkeys(
        pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04"]), 24
    )
    (report,) = table.repairs
    assert report.removed == {"load": 12 + 18 + 3 * 23}
    assert "30 records are left out" in report.sentence
    with pytest.raises(ConfigError, match="no whole step of MS"):
        timellm.read_table(path, repair=("resample:MS:sum",))


@pytest.mark.parametrize(
    ("step", "first"),
    [
        ("7h", "2024-01-06 02:00"),
        ("W-MON", "2024-01-01"),
        ("W", "2024-01-01"),
        ("MS", "2024-01-01"),
        ("2D", "2024-01-06"),
    ],
)
def test_steps_are_counted_from_fixed_points(write, step, first):
    days = pd.date_range("2024-01-06 08:00", periods=900, freq="7h")
    whole = timellm.read_table(write(rows(*((when, 1) for when in days))), repair=(f"resample:{step}:max",))
    later = timellm.read_table(write(rows(*((when, 1) for when in days[301:]))), repair=(f"resample:{step}:max",))
    assert later.values.index[1:].isin(whole.values.index).all()
    assert later.frequency == whole.frequency
    assert whole.values.index[0] >= pd.Timestamp(first)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("2MS", "a fixed point"),
        ("ME", "begin of its step"),
        ("B", "a fixed point"),
        ("x", "no step"),
        ("1ns", "use for"),
        ("-1h", "use for"),
        ("0h", "use for"),
        ("999999999999D", "use for"),
    ],
)
def test_a_step_that_cannot_be_counted_is_refused(write, step, says):
    with pytest.raises(ConfigError, match=says):
        timellm.read_table(write(UNEVEN), repair=(f"resample:{step}:mean",))


def test_two_steps_between_rows_contradict_each_other(write):
    with pytest.raises(ConfigError, match="leave 'frequency' out"):
        timellm.read_table(write(UNEVEN), repair=("resample:1h:mean",), frequency="D")
    assert timellm.read_table(write(UNEVEN), repair=("resample:1h:mean",), frequency="h").frequency == "h"


DAYS = rows(*((f"2024-01-{day:02d}", f"{day},{-day}") for day in range(1, 11)), head="date,a,b")


def test_values_beyond_limits_become_the_limit(write):
    table = timellm.read_table(write(DAYS), repair=("clip:-3:8",))
    assert table.values["a"].max() == 8 and table.values["b"].min() == -3
    assert table.repairs[0].changed == {"a": 2, "b": 7}
    one = timellm.read_table(write(DAYS), repair=("clip::4:a",))
    assert one.values["a"].max() == 4 and one.values["b"].min() == -10
    with pytest.raises(ConfigError, match="there are: a, b"):
        timellm.read_table(write(DAYS), repair=("clip::4:c",))


def test_channels_and_rows_are_left_out(write):
    table = timellm.read_table(
        write(DAYS), repair=("drop:channel:b", "drop:rows:/2024-01-02", "drop:rows:2024-01-05/2024-01-06")
    )
    assert table.channels == ("a",)
    np.testing.assert_array_equal(table.values["a"], [3, 4, np.nan, np.nan, 7, 8, 9, 10])
    assert [report.removed for report in table.repairs] == [{"b": 10}, {"a": 2}, {"a": 2}]
    again = timellm.read_table(write(DAYS), channels=("a",), repair=("drop:channel:b",))
    assert again.repairs[0].nothing, "the channels of a run do not name what it left out"
    with pytest.raises(DataError, match="leaves no channel"):
        timellm.read_table(write(DAYS), repair=("drop:channel:a", "drop:channel:b"))
    with pytest.raises(DataError, match="leaves no row"):
        timellm.read_table(write(DAYS), repair=("drop:rows:2023-01-01/",))


def test_what_is_known_ahead_cannot_be_merged(write):
    path = write(DOUBLED.replace("date,load", "date,load,promo").replace(",8\n", ",8,1\n"))
    with pytest.raises(ConfigError, match="known_file"):
        timellm.read_table(path, known_ahead=("promo",), channels=("load",), repair=("duplicates:mean",), ragged="pad")


def test_a_column_of_something_else_can_be_left_out(write):
    path = write(rows(*((f"2024-01-{day:02d}", f"{day},{day}") for day in range(1, 9)), ("2024-01-09", '9,"1,2,x"'),
                      head="date,a,codes"))  # fmt: skip
    with pytest.raises(RepairableError, match="'1,2,x' is not a number") as error:
        timellm.read_table(path)
    assert error.value.repairs == ("drop:channel:codes",)
    table = timellm.read_table(path, repair=("clip:2:", "drop:channel:codes"))
    assert table.channels == ("a",) and table.values["a"].min() == 2
    assert {str(report.step): (report.changed, report.removed) for report in table.repairs} == {
        "drop:channel:codes": ({}, {"codes": 9}),
        "clip:2:": ({"a": 1}, {}),
    }


def test_a_column_that_is_needed_is_not_offered_to_be_left_out(write):
    for text in ("date,a\n2024-01-01,1\n2024-01-02,x y z\n", "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,x y z\n"):
        with pytest.raises(DataError, match="is not a number; replace it") as error:
            timellm.read_table(
                write(text), layout="auto", value_column=None, **({} if "ds" in text else {"channels": ("a",)})
            )
        assert not isinstance(error.value, RepairableError)


def test_a_code_for_missing_values_is_asked_about_before_it_is_clipped(write):
    days = [(f"2024-01-{day:02d}", -9999 if day % 5 == 0 else day) for day in range(1, 30)]
    with pytest.raises(QuestionError, match="-9999 stands 5 times"):
        timellm.read_table(write(rows(*days)), repair=("clip:0:",))
