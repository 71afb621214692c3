"""Numbers of a sheet: the decimal sign of each column, and an exact error where a cell is not a number.

Inputs: columns of text cells. Outputs: float64 values, NaN where the cell is missing. "1.017" is a little more than
one, or more than a thousand: the other cells of its column decide, then the setting `decimal`, then the file's other
columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timellm.data.missing_codes import ask_about_text
from timellm.data.numerals import GRAMMAR, Sign, cast_numbers, is_infinite, look_like_numbers, plain_numbers
from timellm.data.records import blocks, excerpt
from timellm.data.sheet import Sheet, is_missing
from timellm.data.unfit import CellsAtFault
from timellm.errors import Choice, DataError, QuestionError, RepairableError

_SHOWN = 3
_MOST_EVIDENCE = 10_000  # cells that an error carries as data


@dataclass(frozen=True)
class _Evidence:
    """What a column says about its decimal sign."""

    proofs: dict[Sign, int] = field(default_factory=dict)  # records that can be read in one way only
    doubtful: int | None = None  # first record that can be read in two ways

    @property
    def sign(self) -> Sign | None:
        return next(iter(self.proofs)) if len(self.proofs) == 1 else None


@dataclass(frozen=True)
class Decimals:
    """The decimal sign of each column, and notes on how it was found."""

    signs: dict[str, Sign]
    notes: tuple[str, ...] = ()
    answer: Sign | None = None
    """The sign that was needed for cells with two readings; None where there were none."""


def find_decimals(
    sheet: Sheet, columns: Iterable[str], *, others: Iterable[str], setting: Literal["auto", "point", "comma"]
) -> Decimals:
    """The decimal sign of columns of numbers.

    Args:
        sheet: the cells.
        columns: those to read.
        others: more columns of numbers, which may decide for them.
        setting: the setting `decimal`.

    Raises:
        DataError: a column mixes both signs.
        QuestionError: nothing decides.
    """
    columns = tuple(columns)
    evidence = _weigh(sheet, columns)
    for column, found in evidence.items():
        if len(found.proofs) == 2:
            shown = {sign: f"'{sheet.cell(r, column)}', line {sheet.line(r)}" for sign, r in found.proofs.items()}
            raise DataError(
                f"column '{column}' has decimal commas ({shown['comma']}) and points ({shown['point']}); "
                "write all numbers one way"
            )
    signs: dict[str, Sign] = {column: evidence[column].sign or "point" for column in columns}
    doubtful = {column: found.doubtful for column, found in evidence.items() if found.doubtful is not None}
    undecided = [column for column in doubtful if evidence[column].sign is None]
    why = ""
    if undecided:
        if setting == "auto":
            sign, why = _by_others(sheet, columns, others, undecided[0], doubtful[undecided[0]])
        else:
            sign, why = setting, "as set"
        signs |= dict.fromkeys(undecided, sign)
    notes = [_note(sheet, column, doubtful[column], evidence[column], signs[column], why) for column in doubtful]
    answer = next((signs[column] for column in undecided or doubtful), None)
    return Decimals(signs, tuple(_few(notes)), answer)


def parse_numbers(sheet: Sheet, signs: Mapping[str, Sign]) -> Iterator[tuple[slice, np.ndarray]]:
    """Numbers of text columns, some columns at a time: their places among `signs`, and float64 [columns, rows].

    A missing cell is NaN.

    Raises:
        DataError: a cell is text or infinite.
    """
    names = tuple(signs)
    for some, flat in blocks([sheet.texts[name] for name in names]):
        here = names[some]
        kinds = {signs[name] for name in here}
        if len(kinds) == 1:
            values = _values(flat, kinds.pop()).reshape(len(here), len(sheet))
        else:
            values = np.stack([_values(sheet.texts[name], signs[name]) for name in here])
        for at in np.flatnonzero(np.isinf(values).any(axis=1)):
            _refuse(sheet, here[at], np.flatnonzero(np.isinf(values[at])))
        yield some, values


def _values(cells: pa.Array, sign: Sign) -> np.ndarray:
    """Values of cells, NaN where one is missing; infinite where one is no number, so that it is found again."""
    given = pc.if_else(is_missing(cells), None, cells)
    if sign == "point":
        try:
            values = cast_numbers(given)
            if np.isnan(values).sum() == given.null_count:
                return values
        except pa.ArrowInvalid:
            pass  # a cell has a sign in front, separates thousands, or is no number
    good = pc.match_substring_regex(given, GRAMMAR[sign])
    values = cast_numbers(pc.if_else(good, plain_numbers(given, sign), None))
    values[pc.invert(pc.fill_null(good, True)).to_numpy(zero_copy_only=False)] = np.inf
    return values


def _weigh(sheet: Sheet, columns: Sequence[str], *, searching: bool = False) -> dict[str, _Evidence]:
    """Evidence of the columns whose cells have marks; `searching` also weighs what needs no evidence itself."""
    # In a comma-separated file, a comma in a number is quoted, and a point is the decimal one.
    marks = "," if sheet.delimiter == "," and not searching else "[.,]"
    found = {}
    for some, flat in blocks([sheet.texts[name] for name in columns]):
        here = columns[some]
        marked = np.flatnonzero(_where(flat, marks, len(here)).any(axis=1))
        if not len(marked):
            continue
        if len(marked) < len(here):
            here = [here[int(at)] for at in marked]
            flat = pa.concat_arrays([sheet.texts[name] for name in here])
        point, comma = (_where(flat, GRAMMAR[sign], len(here)) for sign in GRAMMAR)
        both = point & comma & _where(flat, "[.,]", len(here))
        with_comma = both & _where(flat, ",", len(here))
        whole = _where(flat, r"^[+-]?[0-9]{4,}$", len(here))
        for at, name in enumerate(here):
            proofs: dict[Sign, int] = {
                sign: int(sheet.records[reads.argmax()])
                for sign, reads in zip(GRAMMAR, (point[at] & ~comma[at], comma[at] & ~point[at]), strict=True)
                if reads.any()
            }
            commas = with_comma[at].any()
            if not proofs and both[at].any() and whole[at].any() and (not commas or (both[at] == with_comma[at]).all()):
                # A column that writes 1500 as it is does not separate the thousands of 1.017.
                proofs = {"comma" if commas else "point": int(sheet.records[whole[at].argmax()])}
            doubtful = int(sheet.records[both[at].argmax()]) if both[at].any() else None
            found[name] = _Evidence(proofs, doubtful)
    return {name: found.get(name, _Evidence()) for name in columns}


def _where(flat: pa.Array, pattern: str, columns: int) -> np.ndarray:
    """Which cells match, [columns, rows]."""
    return pc.match_substring_regex(flat, pattern).to_numpy(zero_copy_only=False).reshape(columns, -1)


def _by_others(
    sheet: Sheet, columns: Sequence[str], others: Iterable[str], column: str, record: int
) -> tuple[Sign, str]:
    """The decimal sign that the file's columns agree on, and why; the used columns decide before the others."""
    for some in (columns, tuple(name for name in others if name not in set(columns))):
        found = {name: one for name, one in _weigh(sheet, some, searching=True).items() if one.sign}
        signs = {one.sign for one in found.values()}
        if len(signs) == 1:
            name, one = next(iter(found.items()))
            sign, proof = next(iter(one.proofs.items()))
            return sign, f"because column '{name}' has '{sheet.cell(proof, name)}'"
        if signs:
            break
    cell = sheet.cell(record, column)
    raise QuestionError(
        f"{sheet.name}, column '{column}', line {sheet.line(record)}: '{cell}' can be read as "
        f"{_value(cell, 'point')} or as {_value(cell, 'comma')}",
        setting="decimal",
        choices=[Choice(sign, f"decimal {sign}", _readings(sheet, column, record, sign)) for sign in GRAMMAR],
    )


def _readings(sheet: Sheet, column: str, record: int, sign: Sign) -> str:
    cells = sheet.column(column).loc[record:].iloc[:200]
    numbers = dict.fromkeys(cells[cells.str.contains(GRAMMAR[sign])])
    return ", ".join(f"{cell} is {_value(cell, sign)}" for cell in list(numbers)[:_SHOWN])


def _value(cell: str, sign: Sign) -> str:
    return f"{_values(pa.array([cell], pa.large_string()), sign)[0]:.15g}"


def _note(sheet: Sheet, column: str, record: int, found: _Evidence, sign: Sign, why: str) -> str:
    cell = sheet.cell(record, column)
    if found.sign:
        proof = found.proofs[found.sign]
        why = f"because of '{sheet.cell(proof, column)}' in line {sheet.line(proof)}"
    return f"Column '{column}' has a decimal {sign}: '{cell}' is read as {_value(cell, sign)}, {why}."


def _few(notes: list[str]) -> list[str]:
    more = len(notes) - _SHOWN
    return notes if more <= 0 else [*notes[:_SHOWN], f"The same was found for {more:,} more columns."]


def _refuse(sheet: Sheet, column: str, wrong: np.ndarray) -> None:
    """Refuse the cells of the rows `wrong`; the error names the first."""
    row = int(wrong[0])
    cell = sheet.texts[column][row].as_py()
    place = f"column '{column}', line {sheet.line(sheet.records[row])}"
    where = f"{place}: '{excerpt(cell)}'"
    cure = "replace it, or leave the cell empty if the value is missing"
    times = pc.sum(pc.equal(sheet.texts[column], cell)).as_py()
    question = ask_about_text(cell, times, where=f"{sheet.name}, {place}", setting=sheet.missing_codes)
    if question is not None and not is_infinite(cell):
        raise question
    infinite = is_infinite(cell) or look_like_numbers(pa.array([cell], pa.large_string()))[0]
    found = f"{where} is not a {'finite number' if infinite else 'number'}; {cure}"
    some = wrong[:_MOST_EVIDENCE]
    texts = tuple(excerpt(text) for text in sheet.texts[column].take(pa.array(some)).to_pylist())
    evidence = CellsAtFault(column, texts, sheet.lines[sheet.records[some]], len(wrong), len(sheet))
    raise RepairableError(found, (f"drop:channel:{column}",), evidence)
