"""Tables of an awkward layout, with the table that a person would make of each: months across, no header, JSON."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.data.table import read_table
from timellm.errors import DataError, QuestionError

MESSY = Path(__file__).parents[3] / "shared" / "data" / "messy"
MONTHS = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec"


@pytest.fixture
def read(tmp_path):
    """Read text or bytes as a table."""

    def read(content, **settings):
        path = tmp_path / "sales.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **settings)

    return read


def messy(name):
    if not (MESSY / name).is_file():
        pytest.skip("the messy exports do not lie beside the checkout")
    return MESSY / name


# Months across


@pytest.mark.parametrize(
    "months",
    [MONTHS, "1,2,3,4,5,6,7,8,9,10,11,12", "januari,februari,maart,april,mei,juni,juli,augustus,september,oktober,"
     "november,december", "Janvier,Février,Mars,Avril,Mai,Juin,Juillet,Août,Septembre,Octobre,Novembre,Décembre"],
    ids=["english", "numbers", "dutch", "french"],
)  # fmt: skip
def test_months_across_are_read_as_one_monthly_series(read, months):
    rows = "".join(f"{year}," + ",".join(str(100 * (year - 2000) + month) for month in range(12)) + ",7\n"
                   for year in (2001, 2000, 2002))  # fmt: skip
    table = read(f"Year,{months},Annual\n{rows}")
    assert table.values.columns.tolist() == ["value"]
    assert table.frequency == "MS"
    assert table.values.index[0] == pd.Timestamp("2000-01-01")
    assert table.values["value"].tolist() == [100 * year + month for year in range(3) for month in range(12)]
    assert any("Left out: Annual." in note for note in table.notes)


def test_months_that_are_not_over_are_no_missing_values(read):
    table = read(f"Year,{MONTHS}\n2000{',1' * 12}\n2001,2,,2,,,,,,,,,\n")
    np.testing.assert_array_equal(table.values["value"], [1] * 12 + [2, np.nan, 2])
    assert table.values.index[-1] == pd.Timestamp("2001-03-01")


def test_months_across_stay_columns_where_the_layout_is_set_wide(read):
    rows = "".join(f"{year}{',5' * 12}\n" for year in range(2000, 2004))
    table = read(f"Year,{MONTHS}\n{rows}", layout="wide")
    assert table.channels == tuple(MONTHS.split(","))
    assert len(table.values) == 4


def test_repeated_years_are_several_series_and_not_months_across(read):
    with pytest.raises(DataError):
        read(f"Year,{MONTHS}\n2000{',1' * 12}\n2000{',2' * 12}\n")


def test_wrong_cell_among_months_is_named_with_its_line(read):
    with pytest.raises(DataError, match=r"column 'value', line 3: 'oops 3' is not a number"):
        read(f"Year,{MONTHS}\n2000{',1' * 12}\n2001,oops 3{',2' * 11}\n")


def test_temperature_anomalies_are_read_month_by_month():
    table = read_table(messy("mt_mixedGLB_CR.csv"), missing_codes="*****")
    assert table.values["value"].iloc[[0, 1, 12, -1]].tolist() == [-43, -27, -20, 61]
    assert (table.values.index[0], table.values.index[-1]) == (pd.Timestamp("1880-01-01"), pd.Timestamp("2012-05-01"))
    assert len(table.values) == 132 * 12 + 5


# No header


@pytest.mark.parametrize(
    ("rows", "begin", "step", "channel", "values"),
    [
        ([f"2016,1,{day},{day + 0.5}" for day in range(1, 13)], "2016-01-01", "D", "column 4", 0.5 + np.arange(1, 13)),
        ([f"2016 1 1 {hour} {hour}.5" for hour in range(24)], "2016-01-01", "h", "column 5", 0.5 + np.arange(24)),
        ([f"2016 {day} {day}.5" for day in range(32, 60)], "2016-02-01", "D", "column 3", 0.5 + np.arange(32, 60)),
        ([f"2016 {month} {month + 2}" for month in range(1, 13)], "2016-01-01", "MS", "column 3", np.arange(3, 15)),
        ([f"2016 1 1 1 {k // 60} {k % 60} {k}.5" for k in range(180)], "2016-01-01", "min", "column 7",
         0.5 + np.arange(180)),
        ([f"1/{day}/2021,{day}.5" for day in range(5, 20)], "2021-01-05", "D", "column 2", 0.5 + np.arange(5, 20)),
    ],
    ids=["day", "hour", "day of the year", "month", "day of the year and minute", "american date"],
)  # fmt: skip
def test_timestamps_without_header_are_put_together(read, rows, begin, step, channel, values):
    text = "\n".join(rows)
    with pytest.raises(QuestionError, match="looks like data") as asked:
        read(text)
    assert asked.value.setting == "header"
    table = read(text, header="no")
    assert table.values.index[0] == pd.Timestamp(begin)
    assert table.frequency == step
    assert table.values[channel].tolist() == values.tolist()


def test_radiation_by_the_minute_has_its_own_timestamps():
    table = read_table(messy("surfrad_slv16001.dat"), header="no", missing_codes="none")
    assert table.frequency == "min"
    assert (table.values.index[0], table.values.index[-1]) == (
        pd.Timestamp("2016-01-01 00:00"), pd.Timestamp("2016-01-01 23:59"),
    )  # fmt: skip
    assert table.values["column 8"].iloc[:3].tolist() == [91.65, 91.83, 92.0]


def test_air_quality_with_blanks_after_commas_has_every_number_of_its_day():
    table = read_table(messy("warsaw_air_quality.csv"))
    lines = (MESSY / "warsaw_air_quality.csv").read_text().splitlines()[1:]
    cells = [[cell.strip() for cell in line.split(",")] for line in lines]
    days = pd.to_datetime([row[0] for row in cells], format="%m/%d/%y")
    expected = pd.DataFrame([[float(cell or "nan") for cell in row[1:]] for row in cells], index=days).sort_index()
    assert table.channels == ("pm25", "pm10", "o3", "no2", "so2", "co")
    np.testing.assert_array_equal(table.values.loc[expected.index], expected)
    assert table.values.drop(expected.index).isna().all(axis=None)


# JSON


@pytest.mark.parametrize(
    "text",
    [
        '{"ds": "2020-01-01", "y": 0.1234567890123456789, "n": 3}\n{"ds": "2020-01-02", "y": null}\n'
        '{"n": 4, "ds": "2020-01-03", "y": 1e2}\n',
        '[{"ds": "2020-01-01", "y": 0.1234567890123456789, "n": 3},\n {"ds": "2020-01-02", "y": null},'
        ' {"n": 4, "ds": "2020-01-03", "y": 1e2}]',
        '{"ds": ["2020-01-01", "2020-01-02", "2020-01-03"], "y": [0.1234567890123456789, null, 1e2], "n": [3,null,4]}',
        '{"unit": "kW", "data": [{"ds": "2020-01-01", "y": 0.1234567890123456789, "n": 3},'
        ' {"ds": "2020-01-02"}, {"ds": "2020-01-03", "y": 1e2, "n": 4}]}',
    ],
    ids=["lines", "array", "columns", "envelope"],
)
def test_json_is_read_in_every_usual_form(read, text):
    table = read(text)
    np.testing.assert_array_equal(table.values["y"], [0.1234567890123456789, np.nan, 100])
    np.testing.assert_array_equal(table.values["n"], [3, np.nan, 4])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"ds": "2020-01-01", "y": 1}, 5]', "item 2 of the JSON array is no record"),
        ('{"ds": "2020-01-01", "y": 1}\n{"ds": "2020-01-02", "y": 2\n', "line 2: the JSON is damaged"),
        ('{"ds": "2020-01-01", "y": 1}\n[1, 2]\n', r"line 2: '\[1, 2\]' is no JSON record"),
        ('{"ds": "2020-01-01", "y": 1, "y": 2}\n{"ds": "2020-01-02", "y": 2}\n', "twice"),
        ('{"ds": ["2020-01-01"], "y": [1, 2]}', "a JSON object without records"),
        ('[{"a": ' * 100_000, "nested too deeply"),
        ("[]", "holds 0 JSON records"),
    ],
    ids=["number", "cut line", "list", "twice", "lengths", "deep", "empty"],
)
def test_damaged_json_is_refused_with_its_place(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_json_values_within_values_are_left_out_and_named(read):
    table = read('[{"ds": "2020-01-01", "y": 1, "at": {"x": 1}}, {"ds": "2020-01-02", "y": 2, "at": {}}]')
    assert table.channels == ("y",)
    assert any("Left out, because there are values inside: 'at'" in note for note in table.notes)


# Encodings, delimiters


@pytest.mark.parametrize(
    ("header", "encoding", "channel"),
    [
        ("日付,気温,降水量", "cp932", "気温"),
        ("ds,Łódź ciśnienie,średnia", "iso8859_2", "Łódź ciśnienie"),
        ("ds,Температура,Давление", "koi8-r", "Температура"),
    ],
)
def test_old_encoding_is_asked_for_with_the_right_one_first(read, header, encoding, channel):
    content = f"{header}\n2020-01-01,1.5,2\n2020-01-02,2.5,3\n".encode(encoding)
    with pytest.raises(QuestionError) as asked:
        read(content)
    assert asked.value.setting == "encoding"
    assert asked.value.choices[0].value == encoding
    table = read(content, encoding=encoding)
    assert table.values[channel].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("ragged", ["auto", "leave_out", "pad"])
def test_decimal_comma_in_a_comma_file_never_becomes_a_larger_number(read, ragged):
    text = "ds,y\n" + "".join(f"2020-01-{day:02d},{day}.5\n" for day in range(1, 28)) + "2020-01-28,1234,10\n"
    table = read(text, ragged=ragged)
    assert table.values["y"].tolist()[:27] == [day + 0.5 for day in range(1, 28)]
    assert set(table.values["y"].iloc[27:]) <= {1234}
    with pytest.raises(DataError, match="2020-01-28 12:34:00 does not fall on the regular step of D"):
        read(text, ragged="join")
    with pytest.raises(DataError, match="none of the 3 lines below has as many"):
        read("ds,y\n2020-01-01,1234,10\n2020-01-02,12,5\n2020-01-03,3,25\n", ragged=ragged)


def test_empty_cells_behind_a_row_are_cut_off(read):
    table = read("ds,y\n2020-01-01,0.5,,,\n2020-01-02,1.5\n2020-01-03,2.5\n")
    assert table.values["y"].tolist() == [0.5, 1.5, 2.5]
    assert any("Line 2 has empty cells at the end, which are cut off" in note for note in table.notes)


# What remains of the messy exports: a year made of months of several years, and three files that hold no series


def test_year_made_of_months_of_several_years_is_read_at_its_own_times():
    table = read_table(messy("pvgis_tmy.csv"))
    assert table.frequency == "h" and len(table.channels) == 9
    assert int(table.values["T2m"].notna().sum()) == 8760
    assert table.values.index[0] == pd.Timestamp("2006-06-01")
    assert table.values.loc["2006-06-01 01:00", ["T2m", "RH", "SP"]].tolist() == [13.44, 64.47, 99850.0]
    assert table.values.loc["2016-12-31 12:00", ["T2m", "Gb(n)"]].tolist() == [6.12, 833.78]
    assert any("Rows were out of order in 5 places" in note for note in table.notes)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("usgs_stats.rdb", DataError, r"no column holds timestamps \(columns: agency_cd, site_no, parameter_cd"),
        (
            "mt_utf16le.csv",
            DataError,
            r"column 'Reporting_period', line 3: .* already stands in line 2 \(326",
        ),
        (
            "mt_weird_head_padding.csv",
            QuestionError,
            r"14 lines have more or fewer cells than the 11 of the first",
        ),
    ],
)
def test_export_without_a_series_says_why_it_is_none(name, kind, words):
    with pytest.raises(kind, match=words):
        read_table(messy(name))
