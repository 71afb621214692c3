"""What stands around a table's lines and is not of it: rulers, quotation marks around whole lines, a header again.

Inputs: decoded text. Outputs: text with as many lines, in which these are blank or gone, and notes.
"""

from __future__ import annotations

import re

from timellm.data.head_lines import cells_of, head_lines
from timellm.data.records import DELIMITERS

_RULER = r"(?m)^[ \t]*[|+]?(?:[ \t]*:?[-=]{3,}:?[ \t]*[|+])+(?:[ \t]*:?[-=]{3,}:?[ \t]*)?$|^[ \t]*[-=]{5,}[ \t]*$"
_QUOTED = r'(?m)^"((?:[^"\n]|"")*)"[ \t]*$'


def unwrapped(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without rulers (|----|---|) and without quotation marks around whole lines; and what was done."""
    lines = [line.text for line in head_lines(text) if line.text.strip()]
    notes: tuple[str, ...] = ()
    rulers = [line for line in lines if re.fullmatch(_RULER, line)]
    if rulers:
        text = re.sub(_RULER, "", text)
        notes = (f"Lines of nothing but a ruler ('{rulers[0].strip()[:20]}') are left out.",)
    whole = [found.group(1) for line in lines if (found := re.fullmatch(_QUOTED, line))]
    if len(whole) == len(lines) > 1 and any(all(mark in line for line in whole) for mark in DELIMITERS):
        text = re.sub(_QUOTED, lambda found: found.group(1).replace('""', '"'), text)
        notes = (*notes, "Every line is one cell in quotation marks; they are taken off, and the line is split.")
    return text, notes


def without_repeats(text: str, header: str, begin: int, mark: str) -> str | None:
    """The text without the header where it stands again right below a row, as in joined files; None if it does not."""
    if text.find(f"\n{header}\n", begin) < 0:
        return None
    width, found = len(cells_of(header, mark)), False

    def blank(match: re.Match[str]) -> str:
        nonlocal found
        above = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if match.start() < begin or not above.strip() or len(cells_of(above, mark)) != width:
            return match.group()
        found = True
        return "\n"

    shorter = re.sub(rf"\n{re.escape(header)}(?=\n)", blank, text)
    return shorter if found else None
