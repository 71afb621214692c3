"""The first lines of a file are shown as they stand, whatever they are."""

import os

import pytest

from timellm.config import DataConfig
from timellm.data.raw_lines import raw_lines
from timellm.errors import DataError


def lines_of(tmp_path, content: bytes, **settings) -> list[str]:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    return raw_lines(DataConfig(path=str(path), **settings)).split("\n")


def test_lines_are_shown_as_they_stand(tmp_path):
    assert lines_of(tmp_path, b"# title\r\n\r\nday;a\r\n1;2\r\n") == ["# title", "", "day;a", "1;2", ""]
    assert lines_of(tmp_path, "größe,Ä\n1,2".encode("utf-16")) == ["größe,Ä", "1,2"]
    assert lines_of(tmp_path, "größe,Ä\n".encode("cp1252"), encoding="cp1252")[0] == "größe,Ä"


def test_long_lines_and_files_are_cut(tmp_path):
    found = lines_of(tmp_path, b"x" * 5000 + b"\n" + "ä,1\n".encode() * 50_000)
    assert found[0] == "x" * 400 + " …"
    assert len(found) == 20
    assert set(found[1:]) == {"ä,1"}


def test_bytes_that_are_no_text_are_marks(tmp_path):
    assert lines_of(tmp_path, b"a\x00\x07b\n") == ["a\ufffd\ufffdb", ""]


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="choose the table again"):
        raw_lines(DataConfig(path=str(tmp_path / "gone.csv")))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="choose the table again"):
        raw_lines(DataConfig(path=str(tmp_path / "pipe.csv")))
