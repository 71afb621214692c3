"""Numbers as people dress them: (12), 12 %, 1.313,00 €, CHF 5.20, 14.5 kW, −3, 1.5-; undressed a column at a time.

Inputs: columns of text cells (large_string). Outputs: the same columns, whose numbers are bare, and a note with an
example for each column that was changed. A column with two currencies, or with and without a unit, stays as it is: its
numbers are no numbers of one kind, and the reader refuses the first of them with its line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timellm.data.numerals import SPACES, look_like_numbers
from timellm.data.records import blocks

_CURRENCY = r"[$€£¥₹₽₩₺₪฿]|R\$|US\$|Fr\.|kr\.?|zł|Kč|Ft|руб\.?"
_CODES = "EUR|USD|GBP|CHF|JPY|CNY|SEK|NOK|DKK|PLN|CZK|HUF|RUB|INR|BRL|AUD|CAD|NZD|ZAR|TRY|KRW|MXN"
_UNITS = "%|‰|°C|°F|kWh?|MWh?|GWh?|Wh|Hz|mm|cm|km|m/s|km/h|hPa|mbar|kg|ppm|[µμ]g/m[3³]|m[3³](?:/[sh])?|l/s|Mbit/s"
_AFFIX = rf"(?:{_CURRENCY}|{_CODES}|{_UNITS})"
_NUMBER = (
    rf"(?:[1-9][0-9]{{0,2}}(?:[.,{SPACES}][0-9]{{3}})+(?:[.,][0-9]*)?|[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)"
    r"(?:[eE][+-]?[0-9]+)?"
)
_MINUS = "−–﹣－"
_SIGN = rf"[+{_MINUS}-]"
DRESSED = (
    rf"^(?:(?P<open>\()\s*)?(?P<before>{_SIGN})?\s*(?P<left>{_AFFIX})?\s*(?P<inner>{_SIGN})?\s*(?P<number>{_NUMBER})"
    rf"\s*(?P<right>{_AFFIX})?\s*(?P<close>\))?(?P<behind>[-{_MINUS}])?$"
)
"""A number with or without dress; a date of three parts is none."""
_FOREIGN_DIGITS = "[０-９٠-٩۰-۹०-९]"
_SAMPLE = 300
_SHOWN = 3
_LEAST = 0.5  # of a column's cells, to be called a column of numbers
_MARKS = (b"(", b"%", b"$")


def undressed(texts: Mapping[str, pa.Array]) -> tuple[dict[str, pa.Array], tuple[str, ...]]:
    """Columns with bare numbers, and notes."""
    found, notes = dict(texts), []
    for name in _suspects(texts):
        if (changed := _undress(texts[name])) is not None:
            found[name], examples = changed
            notes.append(f"Column '{name}': {examples}.")
    more = len(notes) - _SHOWN
    return found, tuple(notes if more <= 0 else [*notes[:_SHOWN], f"The same was done in {more:,} more columns."])


def _suspects(texts: Mapping[str, pa.Array]) -> list[str]:
    """Columns of which a cell is dressed: where one holds a mark, or a sample of the cells shows it."""
    if not texts:
        return []
    names, columns = list(texts), list(texts.values())
    marked = {name for name, cells in texts.items() if _holds_mark(cells)}
    places = np.unique(np.linspace(0, len(columns[0]) - 1, _SAMPLE).astype(int))
    if len(places) < len(columns[0]):
        columns = [cells.take(pa.array(places)) for cells in columns]
    found = []
    for some, flat in blocks(columns):
        hits = np.asarray(_dressed(flat).reshape(some.stop - some.start, -1).any(axis=1))
        found += [name for name, hit in zip(names[some], hits, strict=True) if hit or name in marked]
    return found


def _holds_mark(cells: pa.Array) -> bool:
    """Whether the text of a column holds a mark or a sign beyond ASCII; at the speed of memory."""
    _, ends, text = cells.buffers()
    if text is None or not len(cells):
        return False
    begin, end = np.frombuffer(ends, np.int64)[[cells.offset, cells.offset + len(cells)]]
    held = text.slice(int(begin), int(end - begin)).to_pybytes()
    return not held.isascii() or any(mark in held for mark in _MARKS)


def _dressed(cells: pa.Array) -> np.ndarray:
    matches = pc.match_substring_regex(cells, DRESSED).to_numpy(zero_copy_only=False)
    return matches & ~look_like_numbers(cells) if matches.any() else matches


def _undress(cells: pa.Array) -> tuple[pa.Array, str] | None:
    """Bare cells and examples of what was done; None if there is nothing to do, or no one reading of all cells."""
    digits = pc.match_substring_regex(cells, _FOREIGN_DIGITS)
    plain = pc.if_else(digits, _ascii_digits(cells, digits), cells) if pc.any(digits).as_py() else cells
    dressed = _dressed(plain)
    bare = look_like_numbers(plain)
    given = int((pc.utf8_length(plain).to_numpy(zero_copy_only=False) > 0).sum())
    changed = dressed | digits.to_numpy(zero_copy_only=False)
    if not changed.any() or (dressed | bare).sum() < _LEAST * given:
        return None
    parts = pc.extract_regex(plain.filter(pa.array(dressed)), DRESSED)
    part = {name: pc.struct_field(parts, name) for name in ("open", "left", "number", "right", "close")}
    signs = [pc.struct_field(parts, name) for name in ("before", "inner", "behind")]
    negative = [pc.match_substring_regex(sign, f"^[{_MINUS}-]$") for sign in signs]
    opens, closes = pc.equal(part["open"], "("), pc.equal(part["close"], ")")
    minuses = sum(one.cast(pa.int8()).to_numpy(zero_copy_only=False) for one in (*negative, opens))
    affixes = set(pc.unique(_joined(part["left"], part["right"])).to_pylist())
    if (minuses > 1).any() or not opens.equals(closes) or len(affixes - {""}) > 1:
        return None
    zero = pc.match_substring_regex(plain, "^[0.,-]+$").to_numpy(zero_copy_only=False)
    currencies = {""} | {one for one in affixes if re.fullmatch(f"{_CURRENCY}|{_CODES}", one)}
    if not affixes <= currencies and ("" in affixes or (bare & ~zero).any()):
        return None  # 12 % and 3: who says that the second one is a percentage, too?
    signed = _joined(pa.array(np.where(minuses == 1, "-", ""), plain.type), part["number"])
    result = pc.replace_with_mask(plain, pa.array(dressed), signed)
    at = [int(np.flatnonzero(changed)[0])]
    at += [int(np.flatnonzero(dressed)[k]) for k in np.flatnonzero(minuses == 1)[:1]]
    shown = [f"'{cells[one].as_py()}' is read as {result[one].as_py()}" for one in dict.fromkeys(at)]
    return result, ", ".join(shown)


def _joined(left: pa.Array, right: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(left, right, pa.scalar("", left.type))


def _ascii_digits(cells: pa.Array, which: pa.Array) -> pa.Array:
    def plain(cell: str) -> str:
        kept = (str(unicodedata.digit(one)) if one.isdigit() and one.isdecimal() else one for one in cell)
        return "".join(kept).translate({0xFF0E: ".", 0xFF0C: ",", 0xFF0D: "-", 0x066B: ".", 0x066C: ","})

    return pa.array([plain(cell.as_py()) if hit else "" for cell, hit in zip(cells, which.to_pylist(), strict=True)],
                    cells.type)  # fmt: skip
