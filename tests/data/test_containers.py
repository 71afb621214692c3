"""Tables in gzip, zip, workbooks and Parquet are read like CSV files; damaged and huge ones are refused."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timellm import read_table
from timellm.data import containers
from timellm.errors import DataError, QuestionError

INDEX = pd.date_range("2020-01-01", periods=30, freq="h")
FRAME = pd.DataFrame({"time": INDEX, "a": np.arange(30) / 4, "b": np.arange(30) * 1000})
TEXT = FRAME.to_csv(index=False).encode()


@pytest.fixture
def read(tmp_path):
    def read_bytes(content: bytes, name: str = "table.bin", **settings):
        path = tmp_path / name
        path.write_bytes(content)
        return read_table(path, **settings)

    return read_bytes


def zipped(**files: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return target.getvalue()


def workbook(**sheets: list[list[object]]) -> bytes:
    target = io.BytesIO()
    with pd.ExcelWriter(target, engine="xlsxwriter") as writer:
        for name, rows in sheets.items():
            pd.DataFrame(rows).to_excel(writer, sheet_name=name, header=False, index=False)
    return target.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.to_parquet(target)
    return target.getvalue()


SHEET = [["Report of the office", None, None], [None] * 3, ["time", "a", "b"], *FRAME.to_numpy().tolist()]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(TEXT),
        gzip.compress(TEXT[:200]) + gzip.compress(TEXT[200:]),
        zipped(folder__table_csv=TEXT, readme_md=b"hello"),
        parquet(FRAME),
        parquet(FRAME.set_index("time")),
        parquet(FRAME.assign(time=FRAME["time"].astype("datetime64[ns]"), kind=pd.Categorical(["x", "y"] * 15))),
        workbook(Data=SHEET, Empty=[]),
    ],
    ids=["gzip", "gzip in parts", "zip", "parquet", "parquet with index", "parquet with categories", "workbook"],
)
def test_numbers_in_a_container_are_those_of_the_table(read, content):
    table = read(content)
    assert table.frequency == "h"
    np.testing.assert_array_equal(table.values[["a", "b"]], FRAME[["a", "b"]])
    assert list(table.values.index) == list(INDEX)


def test_sheet_or_file_is_asked_for_where_there_are_several(read):
    other = [["day", "c"], *[[f"2020-01-{n:02d}", n] for n in range(1, 21)]]
    small = b"day,c\n2020-01-01,1\n2020-01-02,2\n2020-01-03,2\n"
    several = (workbook(First=SHEET, Second=other), "Second"), (zipped(a_csv=TEXT, b_csv=small), "b.csv")
    for content, second in several:
        with pytest.raises(QuestionError, match="holds 2") as asked:
            read(content)
        assert asked.value.setting == "sheet"
        assert read(content, sheet=second).channels == ("c",)
        with pytest.raises(DataError, match="has no 'Third' with a table"):
            read(content, sheet="Third")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(TEXT)[:-20], "is a gzip file that ends too early"),
        (gzip.compress(TEXT)[:10] + b"\xff" * 50, "is a damaged gzip file"),
        (zipped(a_csv=TEXT)[:60], "is a damaged or encrypted zip archive"),
        (zipped(readme_md=b"hello"), "holds no table ending in .csv"),
        (parquet(FRAME)[:200], "is a damaged Parquet file"),
        (workbook(Data=SHEET)[:3000], "is a damaged or encrypted zip archive"),
        (workbook(Data=[]), "holds no sheet with rows"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "is a damaged workbook"),
        (gzip.compress(gzip.compress(TEXT)), "a gzip file within another one"),
    ],
    # Compressed bytes hold the time, so that they are no names by which two processes know the same test.
    ids=["gzip cut", "gzip", "zip cut", "zip without", "parquet", "workbook cut", "workbook empty", "old", "twice"],
)
def test_damaged_container_is_refused_with_a_remedy(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


def test_container_that_unpacks_to_too_much_is_refused(read, monkeypatch):
    monkeypatch.setattr(containers, "MOST_BYTES", 10_000)
    large = b"time,a\n" + b"2020-01-01,1\n" * 5000
    wide = pa.table({"a": pa.array(np.random.default_rng(0).random(5000))})
    target = io.BytesIO()
    pq.write_table(wide, target)
    for content in (gzip.compress(large), zipped(a_csv=large), target.getvalue()):
        with pytest.raises(DataError, match="when it is unpacked"):
            read(content)


def test_zip_that_lies_about_its_size_is_not_unpacked_beyond_the_limit(read, monkeypatch):
    monkeypatch.setattr(containers, "MOST_BYTES", 10_000)
    content = bytearray(zipped(a_csv=b"time,a\n" + b"2020-01-01,1\n" * 5000))
    size = (65_007).to_bytes(4, "little")
    assert content.count(size) == 2
    with pytest.raises(DataError, match=r"damaged|unpacked"):
        read(bytes(content.replace(size, (9_000).to_bytes(4, "little"))))
