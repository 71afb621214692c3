"""Hostile files: each gives its table or an error that names what, where and how to mend it, in little time."""

import os
import re
import socket
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.data.hostile_files import cases
from tests.data.hostile_tables import DAYS, Reads, Refused, plain
from timellm.config import DataConfig
from timellm.data import containers
from timellm.data.exported import to_csv
from timellm.data.raw_lines import raw_lines
from timellm.data.table import read_table
from timellm.data.uploads import save_upload, table_path, uploads
from timellm.errors import DataError, QuestionError, TimeLLMError

CASES = cases()
MEND = re.compile(
    r"\b(?:choose|save|write|give|add|correct|remove|replace|close|fill|keep|export|compress|pack|set|name|split|check)\b",
    re.IGNORECASE,
)


def test_corpus_is_large():
    assert len(CASES) >= 200


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", CASES)
def test_hostile_file_gives_its_table_or_an_error_that_helps(tmp_path, name):
    content, outcome = CASES[name]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    if isinstance(outcome, Reads):
        table = read_table(path)
        np.testing.assert_array_equal(table.values.iloc[:, 0], outcome.values)
        assert outcome.begin in (None, str(table.values.index[0]))
        for words in outcome.notes:
            assert any(words in note for note in table.notes)
    else:
        with pytest.raises(TimeLLMError) as refused:
            read_table(path)
        _check_message(str(refused.value))
        if isinstance(outcome, Refused):
            assert outcome.words in str(refused.value)
            assert not isinstance(refused.value, QuestionError)
        else:
            assert isinstance(refused.value, QuestionError)
            assert refused.value.setting == outcome.setting
            assert refused.value.setting in DataConfig.model_fields
            assert len({choice.value for choice in refused.value.choices}) == len(refused.value.choices) > 0
    try:
        assert isinstance(raw_lines(DataConfig(path=str(path))), str)
    except DataError as error:
        _check_message(str(error))
    assert os.listdir(tmp_path) == ["table.csv"]


def _check_message(text: str) -> None:
    """One line that says where (file, column or line) and what to do."""
    assert text.isprintable()
    assert len(text) < 3000
    assert re.search(r"table\.csv|column|line|series|timestamp|stands", text)
    assert MEND.search(text) or "no lines to show" in text


# Names


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd", "..\\..\\boot.csv", "/etc/passwd.csv", "C:\\Windows\\x.csv", "a" * 300 + ".csv", "😀.csv",
        "a\x00b.csv", "a\n\r\x1b[31mb.csv", "\u202egnp.csv", "\ud800.csv", ".", "..", "", " ", ".csv", "con.csv",
        "-rf.csv", "`id`.csv", "$(id).csv", "x/../../y.csv", "%2e%2e%2fx.csv", "～/x.csv", "日付.csv", "a" * 5000,
    ],
    ids=range(24),
)  # fmt: skip
def test_upload_stays_in_its_folder_whatever_its_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path / "home"))
    path = save_upload(name, content=plain())
    assert path.parent == tmp_path / "home" / "data" / "uploads"
    assert not path.is_symlink()
    assert {one.parent for one in tmp_path.rglob("*") if one.is_file()} == {path.parent}
    (upload,) = uploads()
    assert upload.name.isprintable()
    assert 0 < len(upload.name) <= 120
    assert read_table(table_path(upload.id)).values.shape == (12, 1)


# What is no file


@pytest.mark.timeout(10)
def test_pipes_devices_and_folders_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "link.csv").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.csv"))
        names = ["pipe.csv", "folder.csv", "loop.csv", "link.csv", "socket.csv", "absent.csv"]
        for path in [*(tmp_path / name for name in names), Path("/dev/zero"), Path("/dev/null"), Path("/dev/stdin")]:
            for read in (read_table, lambda path: raw_lines(DataConfig(path=str(path)))):
                with pytest.raises(
                    DataError, match=r"cannot be read|there is no file|no file that can be read"
                ) as error:
                    read(path)
                assert MEND.search(str(error.value))


def test_path_with_a_nul_or_too_long_is_refused():
    for path in ("a\0b.csv", "x" * 5000, "y/" * 3000):
        with pytest.raises(DataError, match=r"cannot be read|there is no file"):
            read_table(path)


# What unpacks to very much


def test_parquet_is_bound_by_what_it_declares(tmp_path, monkeypatch):
    many = tmp_path / "many.parquet"
    pq.write_table(pa.table({"ds": pa.array(np.zeros(30_000_000, np.int8)), "y": np.zeros(30_000_000, np.int8)}), many)
    assert many.stat().st_size < 400_000
    monkeypatch.setattr(containers.pq, "ParquetFile", lambda *_, **__: pytest.fail("its values are read"))
    with pytest.raises(DataError, match=r"holds more than .* when it is unpacked; split it"):
        read_table(many)


def test_parquet_with_one_long_text_a_million_times_is_bound(tmp_path):
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1_000_000, np.int32)), pa.array(["x" * 10_000]))
    path = tmp_path / "text.parquet"
    pq.write_table(pa.table({"ds": text, "y": np.zeros(1_000_000)}), path)
    with pytest.raises(DataError, match=r"holds more than .* when it is unpacked; split it"):
        read_table(path)


def test_parquet_with_a_flipped_bit_is_refused_where_it_has_checksums(tmp_path):
    path = tmp_path / "flipped.parquet"
    table = pa.table({"ds": DAYS[:12], "y": np.arange(12) + 0.5})
    pq.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[content.find(np.float64(3.5).tobytes()) + 6] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="is a damaged Parquet file; write it again"):
        read_table(path)


# What goes out again


def test_formulas_in_names_are_text_on_the_way_out(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b'ds;=HYPERLINK("http://x");@SUM(A1)\n' + b"".join(f"{day};1;2\n".encode() for day in DAYS))
    header = to_csv(read_table(path).values).splitlines()[0]
    assert header.replace('""', '"').strip('"').startswith("'=HYPERLINK")
    assert "'@SUM(A1)" in header


# Whatever happens to a file, no number comes of it that does not stand there

_VALID = b"ds,a,b\n" + b"".join(f"{day},{n}.25,{100 + n}\n".encode() for n, day in enumerate(DAYS[:12]))
_ODD = [b"", b",", b";", b"\n", b'"', b"\r", b"\t", b" ", b"-", b"(", b"%", b"\xff", b"\0", b"e9", b"NaN", b"ds,a,b\n",
        b"\xef\xbb\xbf", b"#", b"|", b"'", b",,,", b"2020", b"inf", b"\xe2\x80\x8b", b"[", b"{", b"---"]  # fmt: skip
_EDIT = st.tuples(st.integers(0, len(_VALID)), st.integers(0, 12), st.sampled_from(_ODD))


@pytest.mark.timeout(60)
@given(st.lists(_EDIT, min_size=1, max_size=3))
@example([(9, 0, b'"'), (60, 0, b'"')])
@settings(
    max_examples=100, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_mutated_table_has_no_number_that_does_not_stand_there(tmp_path, edits):
    content = _VALID
    for place, gone, put in edits:
        content = content[:place] + put + content[place + gone :]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except TimeLLMError as error:
        assert str(error).isprintable()
        return
    found = table.values.to_numpy()
    assert {float(one) for one in found[np.isfinite(found)]} <= _numbers(content)


def _numbers(content: bytes) -> set[float]:
    """Every number that stands between delimiters, with either decimal sign, negative or not."""
    text = content.decode("latin-1")
    cells = {cell for marks in ('[,;\t|\n\r"]', '[;\t|\n\r"]') for cell in re.split(marks, text)}
    cells |= {part for cell in cells for part in re.split(r"[ ,]", cell)}
    bare = {re.sub(r"[^0-9.,eE+-]", "", cell) for cell in cells}
    found = set()
    for cell in bare | {cell.replace(",", "") for cell in bare} | {cell.replace(",", ".") for cell in bare}:
        for one in (cell, cell.strip("-"), cell.lstrip("+-")):
            try:
                found |= {float(one), -float(one)}
            except ValueError:
                continue
    return found
