"""Files that can be read in two ways, or not at all: numbers, encodings, headers, dates beside times, odd rows."""

import copy
import cProfile
import io
import pstats
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.config import DataConfig
from timellm.data.encodings import decode
from timellm.data.table import Table, load_table, read_table
from timellm.errors import ConfigError, DataError, QuestionError, TimeLLMError


@pytest.fixture
def csv(tmp_path):
    """Write text or bytes to a file and return its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "sales.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def column(*cells: str, separator: str = ";", name: str = "y") -> str:
    """A file with one row a day: a timestamp and one of the cells."""
    rows = [f"2020-01-{day:02d}{separator}{cell}" for day, cell in enumerate(cells, start=1)]
    return "\n".join([f"ds{separator}{name}", *rows])


# Numbers


@pytest.mark.parametrize(
    ("cells", "separator", "expected"),
    [
        (["1.017", "1.017,5", "998"], ";", [1017, 1017.5, 998]),
        (["1.017", "12.5", "998"], ";", [1.017, 12.5, 998]),
        (["1,017", "1,017.5", "998"], ";", [1017, 1017.5, 998]),
        (["1,017", "12,5", "998"], "\t", [1.017, 12.5, 998]),
        (["1.017", "2.345.678", "998"], "|", [1017, 2345678, 998]),
        (["1.017", "0.250", "998"], ";", [1.017, 0.25, 998]),
        (["1.017", "1500", "998"], ";", [1.017, 1500, 998]),
        (["1,017", "1500", "998"], ";", [1.017, 1500, 998]),
        (["1.017", "2.5e3", "998"], ";", [1.017, 2500, 998]),
        (["1.017", "2.345", "998"], ",", [1.017, 2.345, 998]),
        (['"1,234.5"', '"1,234"', "7"], ",", [1234.5, 1234, 7]),
        (['"1002,51"', '"1,234"', "7"], ",", [1002.51, 1.234, 7]),
        (["1 234,5", "-1'234,5", "+7"], ";", [1234.5, -1234.5, 7]),
    ],
)
def test_decimal_sign_follows_from_the_whole_column(csv, cells, separator, expected):
    assert read_table(csv(column(*cells, separator=separator))).values["y"].tolist() == expected


def test_decimal_sign_of_a_column_is_noted_with_its_proof(csv):
    table = read_table(csv(column("1.017", "1.017,5", "998")))
    assert table.notes == ("Column 'y' has a decimal comma: '1.017' is read as 1017, because of '1.017,5' in line 3.",)
    assert table.settings == {"decimal": "comma"}


@pytest.mark.parametrize(
    ("other", "expected", "sign"), [("1,5", 1017, "comma"), ("12.5", 1.017, "point"), ("1.017,25", 1017, "comma")]
)
def test_decimal_sign_follows_from_another_column(csv, other, expected, sign):
    table = read_table(csv(f"ds;y;z\n2020-01-01;1.017;{other}\n2020-01-02;998;3\n"))
    assert table.values["y"].tolist() == [expected, 998]
    assert f"Column 'y' has a decimal {sign}: '1.017' is read as {expected}, because column 'z' has '{other}'." in (
        table.notes
    )


def test_decimal_sign_follows_from_a_column_that_is_not_read(csv):
    path = csv("ds;y;z\n2020-01-01;1.017;1,5\n2020-01-02;998;3\n")
    assert read_table(path, channels=("y",)).values["y"].tolist() == [1017, 998]


@pytest.mark.parametrize(
    ("cell", "separator", "point", "comma"),
    [
        ("1.017", ";", 1.017, 1017),
        ("1,017", ";", 1017, 1.017),
        ("1.017", "\t", 1.017, 1017),
        ('"1,017"', ",", 1017, 1.017),
    ],
)
def test_two_readings_of_a_number_are_asked_about(csv, cell, separator, point, comma):
    path = csv(column(cell, "998", separator=separator))
    with pytest.raises(QuestionError, match=r"column 'y', line 2: .* --set decimal=comma: decimal comma") as asked:
        read_table(path)
    assert asked.value.setting == "decimal"
    assert [choice.value for choice in asked.value.choices] == ["point", "comma"]
    bare = cell.strip('"')
    assert [choice.reading for choice in asked.value.choices] == [
        f"{bare} is {point:g}, 998 is 998",
        f"{bare} is {comma:g}, 998 is 998",
    ]
    assert read_table(path, decimal="point").values["y"].tolist() == [point, 998]
    assert read_table(path, decimal="comma").values["y"].tolist() == [comma, 998]


def test_columns_that_disagree_decide_nothing(csv):
    with pytest.raises(QuestionError, match=r"column 'y', line 2: '1\.017' can be read"):
        read_table(csv("ds;y;a;b\n2020-01-01;1.017;1,5;2.5\n2020-01-02;998;1,5;2.5\n"))


def test_a_column_that_shows_its_sign_is_read_so_whatever_is_set(csv):
    path = csv("ds;a;b\n2020-01-01;1,5;2.5\n2020-01-02;3;4\n")
    for setting in ("auto", "point", "comma"):
        np.testing.assert_array_equal(read_table(path, decimal=setting).values, [[1.5, 2.5], [3, 4]])


def test_question_survives_the_way_to_another_process(csv):
    with pytest.raises(QuestionError) as asked:
        read_table(csv(column("1.017", "998")))
    arrived = copy.copy(asked.value)  # as pickle makes it anew
    assert (str(arrived), arrived.setting, arrived.choices) == (
        str(asked.value),
        asked.value.setting,
        asked.value.choices,
    )


@pytest.mark.parametrize("cell", ["12.34.5", "1.0177,5,2", "1,23.4", "--1", "1e", "0x10", "1_000"])
def test_what_is_no_number_is_refused(csv, cell):
    with pytest.raises(DataError, match=r"column 'y', line 3: .* is not a number"):
        read_table(csv(column("12.5", cell, "7", "8")))


# Rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "ds,a,b,c\n2021-02-23,1,2,3\n2021-02-24,1940,2940\n2021-02-25,4,5,6\n",
            r"1 line has more or fewer cells than the 4 of the first line \(line 3: 3 cells '2021-02-24,1940,2940'\)",
        ),
        (
            "ds,a,b\n2021-02-23,1,2\n\n2021-02-24,1,2,3\n2021-02-25,1,2\n",
            r"\(line 4: 4 cells '2021-02-24,1,2,3'\).*--set ragged=join",
        ),
        (
            "ds,a,b,c\n2021-02-23,1,2\n2021-02-24,3,4\n",
            r"the first line has 4 cells, but none of the 2 lines below has as many \(line 2 has 3: '2021-02-23,1,2'\)",
        ),
        (
            "ds,a\n2021-02-23,1,2\n2021-02-24,3,4\n",
            r"the first line has 2 cells, but none of the 2 lines below has as many \(line 2 has 3: '2021-02-23,1,2'\)",
        ),
        (
            "ds,y\n" + "\n".join(f"2020-01-{d:02d},{chr(34) if d in (4, 24) else ''}{d}" for d in range(1, 29)),
            "line 5: a quotation mark opens in column 'y' and closes 20 lines below",
        ),
        (
            "ds,y,t\n" + "\n".join(f"2020-01-{d:02d},{d},{chr(34) if d in (4, 24) else ''}x" for d in range(1, 29)),
            "line 5: a quotation mark opens in column 't' and closes 20 lines below",
        ),
        ('ds,y\n2021-02-23,1\n2021-02-24,"2\n2021-02-25,3\n', "line 3: a quotation mark is never closed"),
        ("unique_id,ds,y\n" + "\n".join(f"s{d},2020-01-{d:02d},1" for d in range(1, 29)), "names 28 series in 28 rows"),
        ("ds,y\n2021-02-01,5\n", "only one timestamp"),
        ("ds,y\n-2021-03-01,1\n-2021-03-02,2\n", "column 'ds', line 2: '-2021-03-01' is not a timestamp"),
        (column("1" * 200_000, "2", separator=","), "line 2: '1{60}…' is not a finite number"),
    ],
)
def test_odd_rows_and_cells_are_refused_with_their_line(csv, content, message):
    with pytest.raises(DataError, match=message):
        read_table(csv(content))


def test_text_of_several_lines_and_of_any_length_does_no_harm(csv):
    path = csv('ds,y,t\n2020-01-01,1,"two\nlines, really"\n2020-01-02,2,' + "x" * 200_000 + "\n2020-01-03,3,z\n")
    assert read_table(path).values["y"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_end_in_every_usual_way(csv, ending):
    names = ";".join(["ds", *(f"c{number}" for number in range(49))])
    rows = [f"2020-01-{day:02d};" + ";".join([str(day)] * 49) for day in range(1, 4)]
    table = read_table(csv(ending.join([names, *rows, ";" * 49, ""])))
    assert table.values.shape == (3, 49)
    assert table.values["c48"].tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="a header but no rows"):
        read_table(csv(names + ending))


# Dates beside times of day


@pytest.mark.parametrize("clock", ["{:02d}:00", "{}:00:00", "{:02d}:00:00.000"])
def test_date_and_time_of_day_are_read_together(csv, clock):
    rows = [f"2020-01-0{d},{clock.format(h)},{24 * d + h}" for d in range(1, 6) for h in range(24)]
    table = read_table(csv("\n".join(["date,time,kwh", *rows])))
    assert (table.frequency, table.channels, table.layout) == ("h", ("kwh",), "wide")
    assert table.values["kwh"].tolist() == list(range(24, 144))
    assert table.values.index[25] == pd.Timestamp("2020-01-02 01:00")
    assert table.notes == ("Timestamps are taken from 'date' and 'time' together.",)
    assert table.settings == {"time_of_day_column": "time"}


def test_date_and_time_of_day_are_read_together_in_a_long_table(csv):
    rows = [f"{s},01.0{d}.2020,{h}:00 PM,{10 * d + h}" for s in "ab" for d in (1, 2) for h in range(1, 4)]
    table = read_table(csv("\n".join(["store,date,time,sales", *rows])))
    assert (table.layout, table.channels) == ("long", ("a", "b"))
    assert table.values["a"].dropna().tolist() == [11, 12, 13, 21, 22, 23]
    assert table.values.index[0] == pd.Timestamp("2020-01-01 13:00")


def test_time_of_day_names_series_only_where_it_is_said_to(csv):
    rows = [f"2020-01-0{d},{h:02d}:00,{24 * d + h}" for d in range(1, 6) for h in range(24)]
    table = read_table(csv("\n".join(["date,time,kwh", *rows])), id_column="time")
    assert table.values.shape == (5, 24)


def test_missing_time_of_day_is_refused(csv):
    rows = [f"2020-01-01,{h:02d}:00,{h}" for h in range(20)]
    with pytest.raises(DataError, match="column 'time', line 22: the time of day is missing"):
        read_table(csv("\n".join(["date,time,kwh", *rows, "2020-01-01,,20"])))


# Header


@pytest.mark.parametrize(
    "content",
    [
        "1/5/2021,900\n1/6/2021,901\n1/7/2021,902\n",
        "2021-01-01 00:00,1,1\n2021-01-01 01:00,2,2\n",
        "20210105;1,5\n20210106;2,5\n20210107;3,5\n",
    ],
)
def test_first_line_that_is_data_is_asked_about(csv, content):
    path = csv(content)
    with pytest.raises(QuestionError, match=r"line 1: the first line .* looks like data") as asked:
        read_table(path)
    assert asked.value.setting == "header"
    assert [choice.value for choice in asked.value.choices] == ["no", "yes"]
    table = read_table(path, header="no", date_order="month_first")
    assert (len(table.values), table.time_column) == (content.count("\n"), "column 1")


def test_file_without_header_keeps_its_first_row(csv):
    table = read_table(csv("2021-01-05,900\n2021-01-06,901\n2021-01-07,902\n"), header="no")
    assert (table.time_column, table.channels) == ("column 1", ("column 2",))
    assert table.values["column 2"].tolist() == [900, 901, 902]
    assert table.values.index[0] == pd.Timestamp("2021-01-05")
    with pytest.raises(DataError, match="column 'column 2', line 2: 'x' is not a number"):
        read_table(csv("2021-01-05,900\n2021-01-06,x\n2021-01-07,902\n"), header="no")


def test_names_that_look_like_data_are_names_if_set(csv):
    table = read_table(csv("2021-01-05,900\n2021-01-06,901\n2021-01-07,902\n"), header="yes")
    assert table.channels == ("900",)
    assert table.values["900"].tolist() == [901, 902]


# Encodings


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("ds,нагрузка", "koi8-r"),
        ("ds,нагрузка", "cp1251"),
        ("ds,電力使用量", "cp932"),
        ("ds,電力使用量", "euc_jp"),
        ("ds,温度", "gb18030"),
        ("ds,溫度", "big5"),
        ("ds,기온", "cp949"),
        ("ds,θερμοκρασία", "cp1253"),
        ("ds,Zużycie", "cp1250"),
        ("ds,sıcaklık", "cp1254"),
        ("ds,Größe", "mac_roman"),
        ("ds,Größe", "cp850"),
    ],
)
def test_encoding_that_is_not_clear_is_asked_about(csv, header, encoding):
    path = csv(header.encode(encoding) + b"\n2020-01-01,1\n2020-01-02,2\n")
    with pytest.raises(QuestionError, match="is not UTF-8, and its text can be read in several encodings") as asked:
        read_table(path)
    assert asked.value.setting == "encoding"
    readings = {choice.value: choice.reading for choice in asked.value.choices}
    assert readings[encoding] == header
    assert len(set(readings.values())) == len(readings) <= 6
    assert read_table(path, encoding=encoding).channels == (header.split(",")[1],)


@pytest.mark.parametrize(
    "name", ["Größe", "Temp °C", "µg/m³", "Énergie", "Température", "Umidità", "Estações", "€/MWh"]
)
def test_clear_western_text_is_read_and_noted(csv, name):
    table = read_table(csv(f"ds,{name}\n2020-01-01,1\n2020-01-02,2\n".encode("cp1252")))
    assert table.channels == (name,)
    assert "its text is read as Windows-1252" in table.notes[0]


def test_encoding_of_text_that_is_not_used_is_not_asked_about(csv):
    table = read_table(csv("ds,y,t\n2020-01-01,1,жара\n2020-01-02,2,снег\n".encode("koi8-r")))
    assert table.values["y"].tolist() == [1, 2]
    assert "is not UTF-8" in table.notes[0]


def test_encoding_of_series_ids_is_asked_about(csv):
    rows = [f"{name},2020-01-0{day},{day}" for name in ("север", "юг") for day in (1, 2, 3)]
    with pytest.raises(QuestionError, match="several encodings"):
        read_table(csv("\n".join(["unique_id,ds,y", *rows]).encode("koi8-r")))


def test_encoding_setting_must_be_known_and_right(csv):
    path = csv("ds,größe\n2020-01-01,1\n2020-01-02,2\n".encode("cp1252"))
    with pytest.raises(ConfigError, match="setting 'encoding' is 'klingon': give auto or a text encoding"):
        read_table(path, encoding="klingon")
    with pytest.raises(ConfigError, match="setting 'encoding' is 'zlib'"):
        read_table(path, encoding="zlib")
    with pytest.raises(DataError, match="line 1: the text is not UTF-8; save it as CSV in UTF-8, or correct setting"):
        read_table(path, encoding="utf-8")
    assert read_table(path, encoding="cp1250").channels == ("größe",)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DataError, match=r"t.csv, line 2: the character '\\x07' does not belong"):
        decode(b"a,b\n\x07\xff", name="t.csv", encoding="auto")


# Size


@pytest.mark.parametrize("kind", ["text", "numbers", "days first"])
def test_work_on_a_column_of_a_wide_table_is_small(tmp_path, kind):
    columns = 2000
    cells = {"text": "item{}", "numbers": "{}.5", "days first": "{:02d}/01/2020"}[kind]
    names = [f"c{number}" for number in range(columns)]
    rows = [[f"2020-01-{day:02d}", "7.5"] + [cells.format(day)] * columns for day in range(1, 29)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(",".join(row) for row in [["ds", "y", *names], *rows]))
    profile = cProfile.Profile()
    table = profile.runcall(load_table, DataConfig(path=str(path)))
    assert len(table.channels) == (columns + 1 if kind == "numbers" else 1)
    # One attempt to read a column as timestamps takes 16,000 calls.
    assert pstats.Stats(profile, stream=io.StringIO()).total_calls < 500 * columns


def test_every_row_a_series_is_refused_before_anything_is_laid_out(tmp_path):
    stamps = pd.date_range("2020-01-01", periods=16_000, freq="h")
    path = tmp_path / "ids.csv"
    pd.DataFrame({"unique_id": [f"id{n}" for n in range(16_000)], "ds": stamps, "y": 1}).to_csv(path, index=False)
    with pytest.raises(DataError, match="column 'unique_id' names 16,000 series in 16,000 rows"):
        read_table(path)


@pytest.mark.parametrize(
    "frequency",
    ["999999999999999D", "9" * 30 + "h", "99999999MS", "999999999999YS", "100000000W", "99999999B", "12345678901QS"],
)
def test_absurd_frequency_is_refused(csv, frequency):
    with pytest.raises(ConfigError, match=f"setting 'frequency' is '{frequency}', a step of over 100 years"):
        read_table(csv(column("1", "2", "3")), frequency=frequency)


# Whatever happens to a file, its numbers stay or it is refused


def _changed(rng: np.random.Generator, rows: list[list[str]]) -> str:
    rows = [list(row) for row in rows]
    at = int(rng.integers(len(rows)))
    row = rows[at]
    cell = int(rng.integers(len(row)))
    kind = rng.choice(["drop", "add", "quote", "stray", "swap"])
    if kind == "drop":
        del row[cell]
    elif kind == "add":
        row.insert(cell, rng.choice(["5", "", "x"]))
    elif kind == "quote":
        row[cell] = f'"{row[cell]}"'
    elif kind == "stray":
        row[cell] = rng.choice(['"{}', '{}"']).format(row[cell])
        other = rows[int(rng.integers(len(rows)))]
        other[-1] = '"' + other[-1]
    else:
        other = int(rng.integers(1, len(rows)))
        if at:
            rows[at], rows[other] = rows[other], rows[at]
    return "\n".join(",".join(row) for row in rows)


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_file_is_refused_or_gives_the_same_numbers(csv, seed):
    rng = np.random.default_rng(seed)
    rows = [["ds", "a", "b", "c"], *([f"2020-01-{d:02d}", f"{d}.5", f"{100 * d}", f"{d}"] for d in range(1, 13))]
    whole = read_table(csv("\n".join(",".join(row) for row in rows))).values
    try:
        table = read_table(csv(_changed(rng, rows)))
    except TimeLLMError:
        return
    assert isinstance(table, Table)
    gone = table.values.isna().any(axis="columns")
    if gone.any() or len(table.values) < len(whole):  # a line that was left out, which a note names
        assert any("left out" in note for note in table.notes)
    kept = table.values[~gone]
    pd.testing.assert_frame_equal(kept, whole.loc[kept.index], check_freq=False)
