"""Tables inside exports: preambles, comments, units, several tables, spaces; odd lines; parts of timestamps; codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm import read_table
from timellm.errors import DataError, QuestionError

MESSY = Path(__file__).parents[3] / "shared" / "data" / "messy"
DAYS = [f"2020-01-{day:02d}" for day in range(1, 21)]


@pytest.fixture
def csv(tmp_path):
    def write(content: str) -> Path:
        path = tmp_path / "export.csv"
        path.write_text(content)
        return path

    return write


def rows(mark: str = ",") -> str:
    return "\n".join(f"{day}{mark}{number}.5{mark}{10 * number}" for number, day in enumerate(DAYS)) + "\n"


def check(table) -> None:
    assert table.values.shape == (20, 2)
    np.testing.assert_array_equal(table.values["a"], np.arange(20) + 0.5)
    np.testing.assert_array_equal(table.values["b"], 10 * np.arange(20))
    assert table.values.index[0] == pd.Timestamp("2020-01-01")


@pytest.mark.parametrize(
    ("top", "note"),
    [
        ("Station: Zurich\nUnit: mm\n\nday,a,b\n", "Lines 1 to 2 stand above the table"),
        ("# a comment\n# another, with a comma\nday,a,b\n", "Lines 1 to 2 stand above the table"),
        ("# station,Zurich\n# day,a,b\n", "Line 1 stands above the table, and is left out"),
        ("Title,,\nUnit,mm,\nday,a,b\n", r"Lines 1 to 2 stand above the table"),
        ("day,a,b\n,[mm],(°C)\n", r"Line 2 holds units or types, not values, and is left out"),
        ("day,a,b\n10d,8n,15s\n", r"Line 2 holds units or types"),
        ("A report of the office;2020\n\nday,a,b\n\n", "Line 1 stands above the table"),
        ("Key,value\nStation,Zurich\nHeight,400\n\nday,a,b\n", "Lines 1 to 3 stand above the table"),
    ],
)
def test_table_is_found_below_what_stands_above_it_and_a_note_says_so(csv, top, note):
    table = read_table(csv(top + rows()))
    check(table)
    assert any(pd.Series(one).str.contains(note).item() for one in table.notes), table.notes


def test_header_of_two_lines_is_joined(csv):
    table = read_table(csv("day,first,\n,mean,top\n" + rows()))
    assert table.channels == ("first mean", "first top")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimiter_is_found_below_a_preamble(csv, mark):
    check(read_table(csv(f"Station{mark} Zurich\nday{mark}a{mark}b\n" + rows(mark))))


def test_columns_of_spaces_are_read(csv):
    lines = [f" {day}   {number}.5  {10 * number:>5}" for number, day in enumerate(DAYS)]
    check(read_table(csv("day         a      b\n" + "\n".join(lines) + "\n")))


def test_delimiter_can_be_set(csv):
    path = csv("day;a\n" + "\n".join(f"{day};{n},{n}" for n, day in enumerate(DAYS)))
    assert read_table(path, decimal="comma").values["a"].iloc[3] == 3.3
    with pytest.raises(DataError):
        read_table(path, delimiter="comma")


def test_longest_of_several_tables_is_read(csv):
    small = "place,height\nZurich,400\nBern,540\n\n"
    table = read_table(csv(small + "day,a,b\n" + rows() + "\nmonth,mean,top\n2020-01,3,4\n2020-02,3,4\n"))
    check(table)
    assert any("several tables" in note for note in table.notes)


def test_footer_is_left_out_with_its_line(csv):
    table = read_table(csv("day,a,b\n" + rows() + "Source: the office\n"))
    check(table)
    assert any("Line 22 stands below the table and is left out" in note for note in table.notes)


def test_few_odd_lines_are_left_out_and_named(csv):
    text = rows().replace("2020-01-05,4.5,40", "2020-01-05,4.5").replace("2020-01-09,8.5,80", "2020-01-09,8.5,80,7")
    table = read_table(csv("day,a,b\n" + text))
    gone = table.values.index[table.values["a"].isna()]
    assert [str(day.date()) for day in gone] == ["2020-01-05", "2020-01-09"]
    (note,) = [one for one in table.notes if "left out" in one]
    assert "line 6: 2 cells '2020-01-05,4.5'" in note
    assert "line 10: 4 cells" in note


def test_odd_lines_are_padded_or_joined_as_chosen(csv):
    text = rows().replace("2020-01-05,4.5,40", "2020-01-05,4.5").replace("2020-01-09,8.5,80", "2020-01-09,8.5,80,7")
    padded = read_table(csv("day,a,b\n" + text), ragged="pad").values
    assert padded.loc["2020-01-05", "a"] == 4.5
    assert np.isnan(padded.loc["2020-01-05", "b"])
    assert np.isnan(padded.loc["2020-01-09", "a"])
    named = "day,name,a\n" + "".join(f"{day},shop {n},{n}\n" for n, day in enumerate(DAYS))
    text = named.replace("shop 7,7", "shop, the big one,7").replace("shop 9,9", "shop 9")
    joined = read_table(csv(text), ragged="join").values
    assert joined.loc["2020-01-08", "a"] == 7
    assert np.isnan(joined.loc["2020-01-10", "a"])
    np.testing.assert_array_equal(joined["a"].dropna(), [n for n in range(20) if n != 9])


def test_many_odd_lines_are_asked_about(csv):
    text = "day,a,b\n" + "".join(f"{day},1\n" if n % 2 else f"{day},1,2\n" for n, day in enumerate(DAYS))
    with pytest.raises(QuestionError, match="10 lines have more or fewer cells than the 3 of the first line") as asked:
        read_table(csv(text))
    assert [choice.value for choice in asked.value.choices] == ["leave_out", "pad"]
    assert read_table(csv(text), ragged="pad").values["b"].notna().sum() == 10


@pytest.mark.parametrize(
    ("header", "line", "first", "step"),
    [
        ("Year,Month,Day,a", lambda n: f"2020,1,{n + 1},{n}", "2020-01-01", "D"),
        ("yr;mo;dy;hr;a", lambda n: f"2020;1;1;{n};{n}", "2020-01-01 00:00", "h"),
        ("Jahr,Monat,Tag,Stunde,Minute,a", lambda n: f"2020,1,1,{n // 4},{n % 4 * 15},{n}", "2020-01-01", "15min"),
        ("year,doy,hhmm,a", lambda n: f"2020,32,{n // 2 * 100 + n % 2 * 30},{n}", "2020-02-01", "30min"),
        ("YYYYMMDD,   HH,a", lambda n: f"20200101,   {n + 1},{n}", "2020-01-01 01:00", "h"),
        ("Date,Hour,a", lambda n: f"2020-01-01,{n + 1},{n}", "2020-01-01 01:00", "h"),
        ("year,month,a", lambda n: f"{2000 + n // 12},{n % 12 + 1},{n}", "2000-01-01", "MS"),
    ],
)
def test_timestamps_are_put_together_from_their_parts(csv, header, line, first, step):
    count = 24 if header.startswith(("YYYY", "Date")) else 20
    table = read_table(csv("\n".join([header, *map(line, range(count))]) + "\n"))
    assert table.frequency == step
    assert table.values.index[0] == pd.Timestamp(first)
    np.testing.assert_array_equal(table.values["a"], np.arange(count))
    assert any("put together from the columns" in note for note in table.notes)


def test_a_column_that_is_named_as_timestamp_is_not_put_together(csv):
    path = csv("year,month,a\n" + "".join(f"{2000 + n},1,{n}\n" for n in range(20)))
    assert read_table(path, time_column="year").frequency == "YS"


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        ([f"{d:02d}.01.2020 00:00 - {d + 1:02d}.01.2020 00:00" for d in range(13, 30)], "2020-01-13"),
        ([f"2020-01-{d:02d}T00:00:00.0/2020-01-{d + 1:02d}T00:00:00.0" for d in range(1, 20)], "2020-01-01"),
        ([f"{d}. Januar 2020" for d in range(1, 20)], "2020-01-01"),
        ([f"{d} févr. 2020" for d in range(1, 20)], "2020-02-01"),
        ([f"{month} 2020" for month in ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio")], "2020-01-01"),
        ([str(43831 + d) for d in range(20)], "2020-01-01"),
        ([f"{43831 + d / 2}" for d in range(20)], "2020-01-01"),
        ([f"20200101:{h:02d}00" for h in range(20)], "2020-01-01"),
        ([f"2020-01-{d:02d} 24:00" for d in range(1, 20)], "2020-01-02"),
        ([f"2020-01-01 {h:02d}:00" for h in range(1, 25)], "2020-01-01 01:00"),
    ],
)
def test_timestamps_of_other_habits_are_read(csv, cells, first):
    table = read_table(csv("date,a\n" + "".join(f"{cell},{n}\n" for n, cell in enumerate(cells))))
    assert table.values.index[0] == pd.Timestamp(first)
    np.testing.assert_array_equal(table.values["a"], np.arange(len(cells)))


@pytest.mark.parametrize("code", ["-9999", "-200", "---", "n.v."])
def test_code_for_missing_values_is_asked_for(csv, code):
    text = "day,a\n" + "".join(f"{day},{code if n in (3, 7, 8) else n}\n" for n, day in enumerate(DAYS))
    with pytest.raises(QuestionError, match="3 times") as asked:
        read_table(csv(text))
    assert asked.value.setting == "missing_codes"
    values = read_table(csv(text), missing_codes=asked.value.choices[0].value).values["a"]
    assert list(np.flatnonzero(values.isna())) == [3, 7, 8]
    if code.startswith("-") and code != "---":
        kept = read_table(csv(text), missing_codes="none").values["a"]
        assert kept.iloc[3] == float(code)
    else:
        with pytest.raises(DataError, match="is not a number"):
            read_table(csv(text), missing_codes="none")


def test_both_codes_of_a_file_can_be_answered(csv):
    text = "day,a\n" + "".join(
        f"{day},{'---' if n in (1, 2, 3) else '-999' if n in (5, 6, 7) else n}\n" for n, day in enumerate(DAYS)
    )
    answer = "auto"
    for _ in range(2):
        with pytest.raises(QuestionError) as asked:
            read_table(csv(text), missing_codes=answer)
        answer = asked.value.choices[0].value
    assert answer == "--- -999"
    assert read_table(csv(text), missing_codes=answer).values["a"].isna().sum() == 6


def test_value_within_the_range_of_others_is_no_code(csv):
    text = "day,a\n" + "".join(f"{day},{-200 if n % 3 else 1000 * n - 5000}\n" for n, day in enumerate(DAYS))
    assert read_table(csv(text)).values["a"].notna().all()


@pytest.mark.parametrize(
    ("name", "settings", "shape", "step", "first", "value"),
    [
        ("knmi_uurgeg_260.txt", {}, (8784, 23), "h", "2000-01-01 01:00", ("P", 10215)),
        ("dino_B33F0080001_1.csv", {}, (15542, 4), "D", "1972-11-28", ("Stand (cm t.o.v. NAP)", 576)),
        ("cams_radiation_1min_verbose.csv", {}, (4, 33), "min", "2020-06-01 12:00", None),
        ("midc_raw_20181018.txt", {"missing_codes": "-7999"}, (1440, 16), "min", "2018-10-18", None),
        ("wiski_8137_PBF.tsv", {"missing_codes": "---"}, None, "5min", "2007-02-01 13:00", ("Value[mNAP]", -0.607)),
    ],
)
def test_exports_of_measuring_networks_are_read(name, settings, shape, step, first, value):
    if not (MESSY / name).is_file():
        pytest.skip("the messy exports do not lie beside the checkout")
    table = read_table(MESSY / name, **settings)
    assert shape is None or table.values.shape == shape
    assert table.frequency == step
    assert table.values.index[0] == pd.Timestamp(first)
    if value is not None:
        assert table.values[value[0]].iloc[0] == value[1]


@pytest.mark.parametrize("names", ["series 1,series 2,series 3", "Sensor 1,Sensor 2,Sensor 3", "CO2 1,CO2 2,12 m"])
def test_words_with_numbers_are_names_of_columns(tmp_path, names):
    rows = "".join(f"2021-01-01 {hour:02d}:00,{hour},{hour + 0.5},-{hour}\n" for hour in range(20))
    (tmp_path / "a.csv").write_text(f"ds,{names}\n{rows}")
    assert ",".join(read_table(tmp_path / "a.csv").channels) == names
