"""CSV files, friendly and hostile, against the table read from them."""

import cProfile
import io
import pstats
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from timellm.config import DataConfig
from timellm.data.columns import suggest_columns
from timellm.data.table import Table, load_table, read_table
from timellm.errors import ConfigError, DataError, QuestionError, TimeLLMError

ETT = Path(__file__).resolve().parents[3] / "shared" / "data" / "ETTh1.csv"


@pytest.fixture
def csv(tmp_path):
    """Write text or bytes to a file and return its path."""

    def write(content: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / "sales.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def suggest(path: Path, **settings):
    return suggest_columns(DataConfig(path=str(path), **settings))


def days(count: int, *, sep: str = ",", first: int = 1) -> str:
    """`count` rows of January 2020 with the values 1, 2, 3 ..."""
    return "\n".join(f"2020-01-{day:02d}{sep}{day}" for day in range(first, first + count))


def test_wide_table_keeps_numbers_names_and_step(csv):
    table = read_table(csv("when,a,b\n2020-01-01 00:00,1.5,-2\n2020-01-01 01:00,1e3,.5\n2020-01-01 02:00,0,7\n"))
    expected = pd.DataFrame(
        {"a": [1.5, 1000.0, 0.0], "b": [-2.0, 0.5, 7.0]},
        index=pd.date_range("2020-01-01", periods=3, freq="h", name="ds", unit="us"),
    )
    pd.testing.assert_frame_equal(table.values, expected)
    assert (table.frequency, table.time_column, table.layout, table.notes) == ("h", "when", "wide", ())
    assert table.channels == ("a", "b")
    assert table.offset == pd.offsets.Hour()


def test_long_table_becomes_one_channel_a_series(csv):
    text = "unique_id,ds,y\nb,2020-01-01,3\nb,2020-01-02,4\na,2020-01-02,2\na,2020-01-03,5\n"
    table = read_table(csv(text))
    assert table.layout == "long"
    assert table.channels == ("a", "b")
    np.testing.assert_array_equal(table.values, [[np.nan, 3], [2, 4], [5, np.nan]])


def test_long_table_with_other_names_is_recognised_by_repeated_timestamps(csv):
    rows = "\n".join(f"{city},2020-01-0{day},{day}" for city in ("Oslo", "Rome") for day in range(1, 5))
    table = read_table(csv(f"city,when,temperature\n{rows}"))
    assert table.channels == ("Oslo", "Rome")
    assert table.notes[0] == "Read as a long table: series IDs in 'city', values in 'temperature'."


def test_long_table_with_several_values_asks_which(csv):
    rows = "\n".join(f"{city},2020-01-0{day},{day},7" for city in ("Oslo", "Rome") for day in range(1, 5))
    path = csv(f"city,when,temperature,wind\n{rows}")
    with pytest.raises(QuestionError, match="several of its columns hold numbers: temperature, wind"):
        read_table(path)
    assert read_table(path, value_column="wind").values.to_numpy().max() == 7


def test_long_table_with_a_numeric_id_keeps_leading_zeros(csv):
    rows = "\n".join(f"{store},2020-01-0{day},{day}" for store in ("007", "008") for day in range(1, 5))
    assert read_table(csv(f"store,date,sales\n{rows}")).channels == ("007", "008")


def test_long_table_orders_numbered_series_by_number(csv):
    rows = "\n".join(f"{store},2020-01-0{day},{day}" for store in ("10", "2", "north") for day in range(1, 5))
    assert read_table(csv(f"store,date,sales\n{rows}")).channels == ("2", "10", "north")


def test_long_table_selects_series(csv):
    text = "unique_id,ds,y\na,2020-01-01,1\na,2020-01-02,2\nb,2020-01-01,3\nb,2020-01-02,x\n"
    assert read_table(csv(text), channels=("a",)).channels == ("a",)
    with pytest.raises(DataError, match="column 'unique_id' has no series 'c'; known: a, b"):
        read_table(csv(text), channels=("c",))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("unique_id,ds,y\n,2020-01-01,1\na,2020-01-02,2\n", "column 'unique_id', line 2: the series ID is missing"),
        (
            "unique_id,ds,y\na,2020-01-01,1\na,2020-01-02,2\na,2020-01-01,3\n",
            "line 4: the timestamp 2020-01-01 00:00:00 of series 'a' already stands in line 2",
        ),
    ],
)
def test_long_table_names_the_wrong_line(csv, frame, message):
    with pytest.raises(DataError, match=message):
        read_table(csv(frame))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_delimiter_is_found(csv, separator):
    assert read_table(csv(f"date{separator}x\n" + days(5, sep=separator))).values["x"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "cp1252"])
def test_encoding_is_found(csv, encoding):
    text = "date,größe\r\n" + days(5).replace("\n", "\r\n")
    raw = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16-le-bom" else text.encode(encoding)
    table = read_table(csv(raw))
    assert table.channels == ("größe",)
    assert (len(table.notes) == 1) == (encoding == "cp1252")


def test_decimal_commas_are_read_in_semicolon_files(csv):
    assert read_table(csv("date;x\n2020-01-01;1,5\n2020-01-02;-2,25\n2020-01-03;3\n")).values["x"].tolist() == [
        1.5,
        -2.25,
        3,
    ]


def test_spelled_missing_values_stay_missing_and_are_counted(csv):
    table = read_table(csv("date,x\n2020-01-01,1\n2020-01-02,NA\n2020-01-03,\n2020-01-04,null\n2020-01-05,2\n"))
    assert table.values["x"].isna().tolist() == [False, True, True, True, False]
    assert table.notes == ()
    assert [table.lines.line(row) for row in range(5)] == [2, 3, 4, 5, 6]


def test_gaps_become_missing_rows(csv):
    table = read_table(csv("date,x\n" + days(5) + "\n" + days(5, first=8)))
    assert len(table.values) == 12
    assert table.values["x"].isna().sum() == 2
    assert np.flatnonzero(table.lines.absent).tolist() == [5, 6]
    assert table.lines.line(7) == 7


def test_newest_first_is_sorted_and_noted(csv):
    table = read_table(csv("date,x\n" + "\n".join(reversed(days(6).split("\n")))))
    assert table.values["x"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table.notes == ("Rows stood newest first; they are sorted by time.",)


@pytest.mark.parametrize("layout", ["wide", "long"])
@pytest.mark.parametrize("seed", range(5))
def test_shuffled_rows_give_the_same_table(csv, layout, seed):
    rng = np.random.default_rng(seed)
    step = rng.choice(["h", "15min", "D", "MS", "W-TUE", "B", "QE"])
    frame = pd.DataFrame(
        rng.normal(size=(60, 3)), columns=list("abc"), index=pd.date_range("2019-12-31", periods=60, freq=step)
    )
    frame = frame.rename_axis("ds")
    if layout == "long":
        frame = frame.melt(ignore_index=False, var_name="unique_id", value_name="y")
    straight = read_table(csv(frame.to_csv()))
    shuffled = read_table(csv(frame.sample(frac=1, random_state=seed).to_csv()))
    pd.testing.assert_frame_equal(straight.values, shuffled.values)
    assert straight.frequency == shuffled.frequency == step


@pytest.mark.parametrize(
    "step", ["h", "15min", "s", "D", "2D", "B", "W-WED", "MS", "ME", "QS", "QE", "2MS", "YS", "YE-JUN"]
)
def test_future_index_continues_the_grid(csv, step):
    whole = pd.date_range("2001-02-01 00:00", periods=40, freq=step)
    table = read_table(csv(pd.DataFrame({"ds": whole[:30], "x": range(30)}).to_csv(index=False)))
    assert table.future_index(10).tolist() == whole[30:].tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "sales.csv is empty"),
        ("\n \r\n\n", "sales.csv is empty"),
        ("date,x\n", "a header but no rows"),
        ("date,x\n,\n,\n", "a header but no rows"),
        ("date\n2020-01-01\n2020-01-02\n", r"has one column \('date'\).*separated by commas, semicolons or tabs"),
        ("date,x\n2020-01-01,1\n", "only one timestamp"),
        ("date,x,x\n2020-01-01,1,2\n", r"line 1: the column name 'x' stands twice \(columns 2 and 3\)"),
        ("a,b\n1,2\n3,4\n", "no column holds timestamps.*'time_column'"),
        ("date,x\n2020-01-01,red\n2020-01-02,blue\n", "no column besides 'date' holds numbers"),
        ("2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n", r"line 1: the first line \('2020-01-01', '1'\) looks like data"),
        (
            "date,x\n" + days(3) + "\n2020-01-04,abc\n" + days(4, first=5),
            "column 'x', line 5: 'abc' is not a number; replace",
        ),
        ("date,x\n" + days(3) + "\n2020-01-04,inf\n", "column 'x', line 5: 'inf' is not a finite number"),
        ("date,x\n" + days(3) + "\n2020-01-04,1e999\n", "line 5: '1e999' is not a finite number"),
        ('date,x\n2020-01-01,"1,234"\n2020-01-02,"2,345"\n', "line 2: '1,234' can be read as 1234 or as 1.234"),
        ("date;x\n2020-01-01;1,5\n2020-01-02;2.5\n", r"decimal commas \('1,5', line 2\) and points \('2.5', line 3\)"),
        ("date,x\n" + days(9) + "\nTotal,45\n", "column 'date', line 11: 'Total' is not a timestamp like the others"),
        ("date,x\n" + days(9) + "\n,45\n", "column 'date', line 11: the timestamp is missing"),
        (
            "date,x\n" + days(9) + "\n2020-01-04,4\n",
            "line 11: the timestamp 2020-01-04 00:00:00 already stands in line 5",
        ),
        (
            "date,x\n" + days(9) + "\n2020-01-10 07:00,4\n",
            "line 11: 2020-01-10 07:00:00 does not fall on the regular step of D",
        ),
        (
            "date,x\n" + days(9) + "\n2220-01-10,4\n",
            "would need .* rows, but only 10 are there; the widest gap follows 2020-01-09",
        ),
        (
            "date,x\n" + days(3) + "\n2020-01-04,4,5\n" + days(2, first=5),
            r"1 line has more or fewer cells than the 2 of the first line \(line 5: 3 cells '2020-01-04,4,5'\)",
        ),
        ('date,x\n2020-01-01,1\n"2020-01-02,2\n', "a quotation mark is never closed"),
        ("date,x\n" + days(3) + "\n\x00\x01,4\n", r"line 5: the character '\\x00' does not belong"),
        (b"PK\x03\x04" + bytes(50), "sales.csv is a damaged or encrypted zip archive"),
        (b"date,x\n2020-01-01,\x81\n", "no column besides 'date' holds numbers"),
        (bytes(range(256)) * 4, r"sales.csv, line 1: the character '\\x00' does not belong"),
    ],
)
def test_unusable_file_is_refused_with_place_and_remedy(csv, content, message):
    with pytest.raises(DataError, match=message):
        read_table(csv(content))


def test_line_numbers_count_blank_lines_and_quoted_newlines(csv):
    text = '\n\ndate,x,remark\n2020-01-01,1,"two\nlines"\n\n2020-01-02,abc,\n2020-01-03,3,\n2020-01-04,4,\n'
    with pytest.raises(DataError, match="column 'x', line 7: 'abc'"):
        read_table(csv(text))


def test_absent_file_and_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path)


def test_random_bytes_never_escape_as_another_error(csv):
    rng = np.random.default_rng(0)
    alphabet = np.frombuffer(b"0123456789-:/,;\t\n\r\"'. TZabc\xe9\x00", dtype=np.uint8)
    for _ in range(150):
        junk = rng.choice(alphabet, size=rng.integers(1, 300)).tobytes()
        for raw in (junk, b"date,x\n" + junk):
            try:
                assert isinstance(read_table(csv(raw)), Table)
            except TimeLLMError as error:
                assert len(str(error)) > 20


def test_unknown_channel_lists_the_known_and_the_closest(csv):
    path = csv("date,load,price\n2020-01-01,1,2\n2020-01-02,3,4\n")
    with pytest.raises(DataError, match="no channel 'lod'; did you mean 'load'\\? known: load, price"):
        read_table(path, channels=("lod",))
    assert read_table(path, channels=("price",)).channels == ("price",)


def test_text_in_an_unselected_column_does_no_harm(csv):
    path = csv("date,a,b\n2020-01-01,1,1\n2020-01-02,2,bad\n2020-01-03,3,3\n")
    assert read_table(path, channels=("a",)).channels == ("a",)
    with pytest.raises(DataError, match="column 'b', line 3: 'bad'"):
        read_table(path)


def test_columns_that_are_left_out_are_noted(csv):
    table = read_table(csv(",date,x,colour,k\n0,2020-01-01,1,red,5\n1,2020-01-02,2,red,5\n2,2020-01-03,4,blue,5\n"))
    assert table.channels == ("x", "k")
    assert table.notes == ("Left out: 'column 1', 'colour' (they hold no numbers to forecast).",)


def test_trailing_delimiters_are_no_column(csv):
    assert read_table(csv("date,x,\n2020-01-01,1,\n2020-01-02,2,\n")).channels == ("x",)


def test_numeric_column_names_are_kept(csv):
    assert read_table(csv("date,0,1\n2020-01-01,1,2\n2020-01-02,3,4\n")).channels == ("0", "1")


@pytest.mark.parametrize("setting", ["time_column", "time_of_day_column", "id_column", "value_column"])
def test_setting_that_names_no_column_is_refused(csv, setting):
    with pytest.raises(DataError, match=f"setting '{setting}': sales.csv has no column 'nope'; known: date, x"):
        read_table(csv("date,x\n" + days(3)), **{setting: "nope"})


def test_frequency_setting_decides_or_is_refused(csv):
    path = csv("date,x\n" + "\n".join(days(9).split("\n")[::2]))
    assert read_table(path).frequency == "2D"
    assert len(read_table(path, frequency="D").values) == 9
    with pytest.raises(ConfigError, match="setting 'frequency' is 'fortnight'"):
        read_table(path, frequency="fortnight")
    with pytest.raises(ConfigError, match="must go forward"):
        read_table(path, frequency="-1D")
    with pytest.raises(DataError, match="does not fall on the regular step of 3D set"):
        read_table(path, frequency="3D")


def test_unknown_setting_is_refused(csv):
    with pytest.raises(ConfigError, match="time_colum"):
        read_table(csv("date,x\n" + days(3)), time_colum="date")


def test_suggested_columns_offer_candidates(csv):
    roles = suggest(csv("made,ds,a,b,colour\n2020-01-02,2020-01-01,1,2,red\n2020-01-03,2020-01-02,3,4,red\n"))
    assert roles.time_candidates == ("ds", "made")
    assert roles.series == ("a", "b")
    assert (roles.layout, roles.time_column, roles.id_column, roles.value_column) == ("wide", "ds", None, None)
    long = suggest(csv("unique_id,ds,y\na,2020-01-01,1\na,2020-01-02,2\n"))
    assert (long.layout, long.time_column, long.id_column, long.value_column) == ("long", "ds", "unique_id", "y")
    assert long.series == ("a",)


def test_suggested_columns_survive_a_table_without_timestamps(csv):
    roles = suggest(csv("a,b\n1,2\n3,4\n"))
    assert (roles.time_column, roles.time_candidates, roles.numeric) == (None, (), ("a", "b"))


def test_million_rows_are_read_without_a_python_call_a_row(tmp_path):
    rows = 1_000_000
    frame = pd.DataFrame({"date": pd.date_range("2000-01-01", periods=rows, freq="min").strftime("%Y-%m-%d %H:%M:%S")})
    numbers = np.arange(rows) % 1000 / 8
    for name in "abc":
        frame[name] = numbers
    path = tmp_path / "large.csv"
    pyarrow.csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), path)
    profile = cProfile.Profile()
    table = profile.runcall(load_table, DataConfig(path=str(path)))
    np.testing.assert_array_equal(table.values, frame[["a", "b", "c"]])
    assert table.frequency == "min"
    assert pstats.Stats(profile, stream=io.StringIO()).total_calls < rows / 5


def test_table_as_benchmarks_write_it_reads_without_settings(csv):
    names = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    hours = pd.date_range("2016-07-01", periods=48, freq="h")
    values = np.random.default_rng(0).normal(5, 3, (48, 7)).astype("float32").astype("float64")  # 17 digits, as there
    table = read_table(csv(pd.DataFrame(values, index=hours, columns=names).to_csv(index_label="date")))
    assert (table.channels, table.frequency, table.notes) == (names, "h", ())
    np.testing.assert_array_equal(table.values, values)


@pytest.mark.skipif(not ETT.is_file(), reason="the benchmark file ETTh1.csv is not beside the project")
def test_benchmark_file_reads_without_settings():
    table = read_table(ETT)
    assert table.values.shape == (17_420, 7)
    assert (table.frequency, table.notes) == ("h", ())
    assert table.channels == ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    assert table.values["OT"].iloc[0] == 30.5310001373291
