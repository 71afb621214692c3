"""JSON from strangers is either what JSON allows, or one line on what is wrong with it."""

from __future__ import annotations

import json

import pytest

from timellm.config import RunConfig
from timellm.errors import ConfigError
from timellm.json_text import MOST_DEPTH, parse_json, read_json


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_json_is_read_as_the_standard_reader_reads_it():
    content = {"a": [1, 2.5, None, True, "ü€😀"], "b": {"c": []}, "d": -1e300}
    for text in (json.dumps(content), json.dumps(content, ensure_ascii=False), json.dumps(content).encode()):
        assert parse_json(text) == content


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (nested(MOST_DEPTH + 1), "nested more than 64 levels"),
        (nested(100_000), "nested more than 64 levels"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested more than 64 levels"),
        ('{"a": NaN}', "holds NaN, which is no number"),
        ("[-Infinity]", "holds -Infinity"),
        ("[1e999]", "the number 1e999, which is too large"),
        ("[" + "9" * 5000 + "]", "4300 digits"),
        ('{"a": 1, "b": {"c": 2, "c": 3}}', "the name 'c' twice"),
        (r'["\ud800"]', "half of a character"),
        (b'"\xff"', "can't decode"),
        ("", "Expecting value"),
        ("{", "Expecting property name"),
    ],
)
def test_what_json_does_not_allow_is_one_line(text, match):
    with pytest.raises(ValueError, match=match) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)


def test_depth_that_is_allowed_is_read():
    assert parse_json(nested(MOST_DEPTH)) is not None


def test_numbers_as_python_writes_them_are_read_where_they_may_stand():
    assert parse_json('{"best": Infinity}', constants=True) == {"best": float("inf")}


def test_text_and_file_that_are_too_large_are_not_parsed(tmp_path):
    with pytest.raises(ValueError, match="12 bytes long, and at most 10 are read"):
        parse_json("[1, 2, 3, 4]", most_bytes=10)
    (tmp_path / "a.json").write_text("[1, 2, 3, 4]")
    with pytest.raises(ValueError, match="at most 10 are read"):
        read_json(tmp_path / "a.json", most_bytes=10)
    assert read_json(tmp_path / "a.json") == [1, 2, 3, 4]


@pytest.mark.parametrize("text", [nested(100_000), '{"data": ' * 2000, '{"data": {"path": "a", "path": "b"}}'])
def test_hostile_configuration_is_a_configuration_error(text):
    with pytest.raises(ConfigError, match="the configuration is not JSON"):
        RunConfig.from_json(text)
