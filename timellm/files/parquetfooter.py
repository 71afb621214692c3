"""How many values a Parquet file declares, read from its footer in plain Python.

Inputs: the bytes of a file. Outputs: a number. Arrow's own accessor ends the whole process when a footer was forged
(arrow 26: `FileMetaData.row_group(i).column(j)` with a wrong `size_statistics`), so lists are counted here. The footer
is a Thrift struct in the compact protocol, of which the fields are used that parquet.thrift numbers as below.
"""

from __future__ import annotations

import struct
from typing import Any

from timellm.errors import one_line

_ROW_GROUPS, _COLUMNS, _META_DATA, _NUM_VALUES = 4, 1, 3, 5
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_MOST_DEPTH = 20


def declared_values(data: bytes) -> int:
    """How many values all columns have together, those in lists one by one.

    Raises:
        ValueError: the footer cannot be read.
    """
    length = int.from_bytes(data[-8:-4], "little")
    if data[-4:] != b"PAR1" or length > len(data) - 12:
        raise ValueError("it is no Parquet file, or it is cut short")
    try:
        footer, _ = _struct(data[-8 - length : -8], 0, 0)
        chunks = [chunk for group in footer[_ROW_GROUPS] for chunk in group[_COLUMNS]]
        return sum(max(0, chunk[_META_DATA][_NUM_VALUES]) for chunk in chunks)
    except (LookupError, TypeError, struct.error) as error:
        raise ValueError(f"its footer is damaged ({one_line(error)})") from None


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if depth > _MOST_DEPTH:
        raise ValueError("its footer is damaged (nested too deeply)")
    found: dict[int, Any] = {}
    number = 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        if kind in (_TRUE, _FALSE):  # a field's truth is its kind
            found[number] = kind == _TRUE
        else:
            found[number], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _integer(data, at)
    if kind in (_TRUE, _FALSE, _BYTE):
        return data[at], at + 1
    if kind == _DOUBLE:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == _BINARY:
        length, at = _varint(data, at)
        if at + length > len(data):
            raise IndexError("a text is cut short")
        return None, at + length  # no text is needed
    if kind in (_LIST, _SET):
        size, inner = data[at] >> 4, data[at] & 15
        at += 1
        if size == 15:
            size, at = _varint(data, at)
        if size > len(data) - at:
            raise IndexError("a list is cut short")
        found = []
        for _ in range(size):
            one, at = _value(data, at, inner, depth + 1)
            found.append(one)
        return found, at
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    raise TypeError(f"a field of kind {kind}")  # a map, too, of which parquet.thrift has none


def _integer(data: bytes, at: int) -> tuple[int, int]:
    found, at = _varint(data, at)
    return (found >> 1) ^ -(found & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7
        if shift > 63:
            raise IndexError("a number is too long")
