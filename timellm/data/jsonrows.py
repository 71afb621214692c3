"""JSON as the text of a table: one record a line, an array of records, or an object of columns.

Inputs: decoded text. Outputs: the same table as text between tabs, whose numbers stand as the file writes them, so that
nothing is rounded before a column is understood. What lies inside of records is left out and named.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from timellm.data.records import excerpt
from timellm.errors import DataError

_MOST_NAMES = 50_000
_BEGIN = re.compile(r'\s*(?:(\[)\s*[{\]]|\{\s*["}])')


def json_table(text: str, *, name: str) -> tuple[str, tuple[str, ...]] | None:
    """The table of a JSON text between tabs, and notes; None if the text is no JSON.

    Raises:
        DataError: it is damaged, or holds no records.
    """
    begin = _BEGIN.match(text)
    if begin is None:
        return None
    if begin.group(1) == "[":
        found = _parsed(text, name)
        return _table(_checked(found, name), name)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if len(lines) > 1 and _is_object(lines[0][1]):
        return _table([_record(line, name, number) for number, line in lines], name)
    found = _parsed(text, name)
    columns = {key: value for key, value in found.items() if isinstance(value, list)}
    inside = [value for value in columns.values() if value and all(isinstance(one, dict) for one in value)]
    if len(inside) == 1:  # records within an envelope, such as {"data": [...]}
        return _table(inside[0], name)
    lengths = {len(value) for value in columns.values()}
    if not columns or len(lengths) > 1:
        raise DataError(
            f"{name} is a JSON object without records; give an array of records "
            '([{"ds": "2020-01-31", "y": 1.5}, ...]) or one record a line'
        )
    rows = zip(*columns.values(), strict=True)
    return _table([dict(zip(columns, row, strict=True)) for row in rows], name)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _record(line: str, name: str, number: int) -> Mapping[str, Any]:
    found = _parsed(line, name, number)
    if not isinstance(found, dict):
        raise DataError(f"{name}, line {number}: '{excerpt(line)}' is no JSON record; correct it or remove the line")
    return found


def _parsed(text: str, name: str, line: int = 1) -> Any:
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str, object_pairs_hook=_object)
    except RecursionError:
        raise DataError(f"{name}, line {line}: JSON is nested too deeply; give an array of flat records") from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name}, line {line + error.lineno - 1}: the JSON is damaged or ends too early "
            f"({error.msg}, character {error.colno}); export the table again"
        ) from None
    except KeyError as error:
        raise DataError(
            f"{name}, line {line}: a JSON record has the name {error} twice; give every value its own name"
        ) from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        raise KeyError(next(key for key in names if names.count(key) > 1))
    return found


def _checked(found: Any, name: str) -> Sequence[Mapping[str, Any]]:
    for place, record in enumerate(found, start=1):
        if not isinstance(record, dict):
            raise DataError(
                f"{name}: item {place:,} of the JSON array is no record ('{excerpt(str(record))}'); give every item as "
                '{"ds": "2020-01-31", "y": 1.5}'
            )
    return found


def _table(records: Sequence[Mapping[str, Any]], name: str) -> tuple[str, tuple[str, ...]]:
    names = list(dict.fromkeys(key for record in records for key in record))
    nested = {key for record in records for key, value in record.items() if isinstance(value, dict | list)}
    kept = [key for key in names if key not in nested]
    if not records or not kept or len(kept) > _MOST_NAMES:
        raise DataError(
            f"{name} holds {len(records):,} JSON records with {len(kept):,} plain values; give an array of records "
            'such as {"ds": "2020-01-31", "y": 1.5}'
        )
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(kept)
    writer.writerows([_cell(record.get(key)) for key in kept] for record in records)
    notes = ["JSON records are counted as lines below a line of names: the first one is line 2."]
    if nested:
        notes.append(f"Left out, because there are values inside: {_listed(sorted(nested))}.")
    return text.getvalue(), tuple(notes)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else " ".join(str(value).split())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{one}'" for one in list(names)[:5])
