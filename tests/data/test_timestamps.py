"""Ways to write a timestamp, and what is done where two readings are possible."""

import pandas as pd
import pytest

from timellm.data.timestamps import looks_like_time, parse_timestamps
from timellm.errors import DataError, QuestionError


def parse(*cells: str, order="auto"):
    return parse_timestamps(pd.Series(cells, dtype="str"), column="date", line=lambda record: record + 2, order=order)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2020-01-31", "2020-02-01"], ["2020-01-31", "2020-02-01"]),
        (["2020-01-31T23:00", "2020-02-01T00:00"], ["2020-01-31 23:00", "2020-02-01 00:00"]),
        (["2020-01-31", "2020-01-31 12:00:00.5"], ["2020-01-31", "2020-01-31 12:00:00.5"]),
        (["2020/1/31", "2020/2/1"], ["2020-01-31", "2020-02-01"]),
        (["31.01.2020 23:00", "01.02.2020 00:00"], ["2020-01-31 23:00", "2020-02-01 00:00"]),
        (["31/01/20", "01/02/20"], ["2020-01-31", "2020-02-01"]),
        (["1/31/2020 1:00 PM", "1/31/2020 2:00 PM"], ["2020-01-31 13:00", "2020-01-31 14:00"]),
        (["31 Jan 2020", "1 Feb 2020"], ["2020-01-31", "2020-02-01"]),
        (["31-Jan-2020 05:00", "31-Jan-2020 06:00"], ["2020-01-31 05:00", "2020-01-31 06:00"]),
        (["Jan 2020", "Feb 2020"], ["2020-01-01", "2020-02-01"]),
        (["2020-01", "2020-02"], ["2020-01-01", "2020-02-01"]),
        (["2020Q1", "2020Q2"], ["2020-01-01", "2020-04-01"]),
        (["2020-W01", "2020-W02"], ["2019-12-30", "2020-01-06"]),
        (["2019", "2020"], ["2019-01-01", "2020-01-01"]),
        (["20200131", "20200201"], ["2020-01-31", "2020-02-01"]),
        (["1577836800", "1577840400"], ["2020-01-01 00:00", "2020-01-01 01:00"]),
        (["1577836800000", "1577840400000"], ["2020-01-01 00:00", "2020-01-01 01:00"]),
        (["2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z"], ["2020-01-01 00:00", "2020-01-01 01:00"]),
        (["2020-01-01 00:00:00 UTC", "2020-01-01 01:00:00 UTC"], ["2020-01-01 00:00", "2020-01-01 01:00"]),
        (["20210301T000000+0200", "20210301T010000+0100"], ["2021-02-28 22:00", "2021-03-01 00:00"]),
        (["2021-03-01T00z", "2021-03-01T01+01"], ["2021-03-01 00:00", "2021-03-01 00:00"]),
        (["2020-01-01T00:30-05:30", "2020-01-01T01:30 -0530"], ["2020-01-01 06:00", "2020-01-01 07:00"]),
    ],
)
def test_timestamps_are_read(cells, expected):
    assert looks_like_time(pd.Series(cells, dtype="str"))
    assert parse(*cells).values.tolist() == [pd.Timestamp(text) for text in expected]


@pytest.mark.parametrize(
    ("cells", "first", "last"),
    [
        ([f"{day:02d}/01/2020" for day in range(1, 14)], "2020-01-01", "2020-01-13"),
        ([f"01/{day:02d}/2020" for day in range(1, 14)], "2020-01-01", "2020-01-13"),
        ([f"{month}/1/{year}" for year in (2019, 2020) for month in range(1, 13)], "2019-01-01", "2020-12-01"),
        ([f"1/{month}/{year}" for year in (2019, 2020) for month in range(1, 13)], "2019-01-01", "2020-12-01"),
        (
            [f"{month}/5/2020 {hour}:00" for month in (3, 4) for hour in range(24)],
            "2020-05-03 00:00",
            "2020-05-04 23:00",
        ),
    ],
)
def test_day_and_month_are_told_apart_by_the_whole_column(cells, first, last):
    values = parse(*cells).values
    assert (values.min(), values.max()) == (pd.Timestamp(first), pd.Timestamp(last))


def test_ambiguous_day_and_month_are_asked_about_and_the_answer_is_taken():
    cells = [f"{day:02d}/01/2020" for day in range(1, 13)]
    with pytest.raises(QuestionError, match=r"line 3: '02/01/2020' can be read as 2 January 2020 or as 1 Feb") as asked:
        parse(*cells)
    assert asked.value.setting == "date_order"
    assert [(one.value, one.reading) for one in asked.value.choices] == [
        ("day_first", "02/01/2020 is 2 January 2020"), ("month_first", "02/01/2020 is 1 February 2020"),
    ]  # fmt: skip
    assert parse(*cells, order="day_first").values.max() == pd.Timestamp("2020-01-12")
    assert parse(*cells, order="month_first").values.max() == pd.Timestamp("2020-12-01")


def test_order_of_dates_is_asked_for_three_ways_where_years_have_two_digits():
    with pytest.raises(QuestionError, match="10 November 2012 or as 11 October 2012 or as 12 November 2010"):
        parse("10-11-12", "10-11-13")
    for order, first in (("day_first", "2012-11-10"), ("month_first", "2012-10-11"), ("year_first", "2010-11-12")):
        reading = parse("10-11-12", "10-11-13", order=order)
        assert reading.order == order
        assert reading.values.min() == pd.Timestamp(first)


def test_order_that_is_set_goes_before_regular_rows():
    cells = ("01/02/2024", "02/02/2024", "03/02/2024")
    assert parse(*cells).values.max() == pd.Timestamp("2024-02-03")
    assert parse(*cells).order == "day_first"
    assert parse(*cells, order="month_first").values.max() == pd.Timestamp("2024-03-02")


def test_order_that_the_rows_show_is_taken_whatever_is_set():
    for order in ("auto", "day_first", "month_first"):
        assert parse("13/01/2020", "14/01/2020", "15/01/2020", order=order).values.max() == pd.Timestamp("2020-01-15")


def test_change_of_the_clocks_is_regular_in_utc():
    reading = parse(
        "2020-10-25T01:00+02:00", "2020-10-25T02:00+02:00", "2020-10-25T02:00+01:00", "2020-10-25T03:00+01:00"
    )
    assert reading.values.diff().dropna().unique().tolist() == [pd.Timedelta(hours=1)]
    assert reading.notes == (
        "Timestamps in column 'date' carry UTC offsets (+01:00, +02:00); they are converted to UTC.",
    )


def test_local_midnights_stay_days_when_the_clocks_change():
    reading = parse("2020-03-28T00:00+01:00", "2020-03-29T00:00+01:00", "2020-03-30T00:00+02:00")
    assert reading.values.tolist() == [pd.Timestamp(f"2020-03-{day}") for day in (28, 29, 30)]
    assert "local midnights" in reading.notes[0]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["red", "blue"], "column 'date', line 2: 'red' is not a timestamp; choose another"),
        (
            ["2020-01-01", "2020-01-32"],
            "line 3: '2020-01-32' is not a timestamp like the others \\(such as '2020-01-01'\\)",
        ),
        (["2020-01-01", ""], "line 3: the timestamp is missing"),
        (["2020-01-01 00:00Z", "2020-01-01 01:00"], "line 3: '2020-01-01 01:00' has no UTC offset, but other"),
        (["2020-01-01 00:00+01:00", "2020-01-01 01:00 CET"], "line 3: '2020-01-01 01:00 CET' is not a timestamp like"),
        (
            ["2020-01-01 00:00+01:00", "2020-01-01 01:00+99:99"],
            r"line 3: .* has the UTC offset \+99:99, which no place has",
        ),
        (["2020-01-01 00:00-01:60", "2020-01-01 01:00-01:00"], "line 2: .* has the UTC offset -01:60"),
        (["-2021-03-01", "-2021-03-02"], "line 2: '-2021-03-01' is not a timestamp"),
        (
            ["[d]", *(f"{day:02d}/02/2021" for day in range(1, 13))],
            r"line 2: '\[d\]' is not a timestamp like the others",
        ),
        (["13/01/2020", "01/13/2020", "14/01/2020"], "line 3: '01/13/2020' is not a timestamp like the others"),
    ],
)
def test_wrong_timestamps_are_refused(cells, message):
    with pytest.raises(DataError, match=message):
        parse(*cells)


@pytest.mark.parametrize("cells", [["red", "blue"], ["1.5", "2.5"], ["12", "13"], ["A1", "B2"], []])
def test_other_cells_do_not_look_like_time(cells):
    assert not looks_like_time(pd.Series(cells, dtype="str"))


def test_one_ambiguous_date_is_read_as_set():
    assert parse("01/02/2021", order="day_first").values.tolist() == [pd.Timestamp("2021-02-01")]
    assert parse("01/02/2021", order="month_first").values.tolist() == [pd.Timestamp("2021-01-02")]
