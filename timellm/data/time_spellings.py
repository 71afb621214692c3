"""Timestamps as people spell them, in the spellings that are read: weekdays, 10h30, 2020年1月31日, Q1 2020, 24:00.

Inputs: a column of text cells. Outputs: cells that say the same in another spelling, which rows were 24:00, and notes.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from timellm.data.month_names import in_english
from timellm.data.records import excerpt

_WEEKDAYS = r"(?:mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so)[a-z]*\.?,? "
BEGINS = rf"q[1-4][ /.-]?[0-9]{{4}}|kw ?[0-9]|{_WEEKDAYS}"
"""How timestamps begin that are spelled anew here, in a pattern that ignores case."""
# In this order; each is tried on what the ones before have left.
_SPELLINGS = (
    (rf"(?i)^{_WEEKDAYS} *([0-9a-z].*)$", r"\1"),
    (r"^([A-Za-z]{3}) +([0-9]{1,2}) ([0-9:]{5,8}) ([0-9]{4})$", r"\1 \2, \4 \3"),  # Jan 6 10:00:00 2020
    (r"^([0-9]{4})[年] ?([0-9]{1,2})月$", r"\1/\2"),
    (r"^([0-9]{4})[年] ?([0-9]{1,2})月 ?([0-9]{1,2})日 ?$", r"\1-\2-\3"),
    (r"^([0-9]{4})[年] ?([0-9]{1,2})月 ?([0-9]{1,2})日 ?([0-9]{1,2})[時时:] ?([0-9]{2})分?$", r"\1-\2-\3 \4:\5"),
    (r"^([0-9]{4})[Mm]([0-9]{2})$", r"\1/\2"),
    (r"^[Qq]([1-4])[ /.-]?([0-9]{4})$", r"\2Q\1"),
    (r"(?i)^kw ?([0-9]{2})[ /.-]([0-9]{4})$", r"\2-W\1"),
    (r"(?i)^([0-9]{4})[ /.-]?kw ?([0-9]{2})$", r"\1-W\2"),
    (r"^(.* [0-9]{1,2})h([0-9]{2})$", r"\1:\2"),
    (r"^(.*[0-9]) ?([AaPp])\. ?[Mm]\.$", r"\1 \2M"),
    (r"^(.*:[0-9]{2}),([0-9]{1,9})$", r"\1.\2"),
    (r"^(.*[+-][0-9]{2}:?[0-9]{2}|.*Z)\[[A-Za-z_/+-]+\]$", r"\1"),  # the offset in front says it already
    (r"^([0-9./-]{8,10} [0-9]{1,2})\.([0-9]{2})$", r"\1:\2"),
    (r"^([0-9]{4}-[0-9]{2}-[0-9]{2})_([0-9:.]+)$", r"\1 \2"),
    (r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[T_ ]([0-9]{2})-([0-9]{2})-([0-9]{2})$", r"\1 \2:\3:\4"),
    (r"^([0-9]{10}|[0-9]{13})\.0+$", r"\1"),
)
_ANY_SPELLING = "(?i)" + "|".join(re.sub(r"\((?!\?)", "(?:", one.replace("(?i)", "")) for one, _ in _SPELLINGS)
_INTERVAL = (
    r"^([0-9]{1,4}[-/.][^-–]{4,}[0-9])(?: - | – | to | bis )[0-9]{1,4}[-/.].*[0-9]$"
    r"|^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][^/]*[0-9Z])/[0-9]{4}-.*$"
)
_MIDNIGHT = r"([T ])24(:?00(?::?00(?:[.,]0+)?)?)$"
_SAMPLE = 300
_MOST_CELLS = 0.8


def sample_places(places: np.ndarray) -> np.ndarray:
    """At most 300 of these places, evenly spaced."""
    if len(places) <= _SAMPLE:
        return places
    return places[np.unique(np.linspace(0, len(places) - 1, _SAMPLE).astype(int))]


def plain_spelling(cells: pd.Series) -> tuple[pd.Series, pd.Series | None, tuple[str, ...]]:
    """Cells without the ends of intervals, with English months, and with 00:00 for 24:00; and which are a day later.

    The sample decides, because most columns have nothing of the kind and replacing is slow.
    """
    sample, notes, later = cells.iloc[sample_places(np.arange(len(cells)))], [], None
    if sample.str.fullmatch(_INTERVAL).mean() > _MOST_CELLS:
        notes.append(f"Timestamps are intervals, such as '{excerpt(cells.iloc[0])}'; each row stands at its begin.")
        begins = cells.str.extract(_INTERVAL)
        cells = begins[0].fillna(begins[1]).fillna(cells)
    # All at once first: most columns need none, and there may be very many columns.
    spellings = _SPELLINGS if sample.str.contains(_ANY_SPELLING).mean() > _MOST_CELLS else ()
    for pattern, spelling in spellings:
        if sample.str.fullmatch(pattern).mean() > _MOST_CELLS:
            cells = cells.str.replace(pattern, spelling, regex=True)
            sample = sample.str.replace(pattern, spelling, regex=True)
    cells = in_english(cells)
    if cells.str.endswith(("24:00", "24:00:00", "2400")).any():
        later = cells.str.fullmatch(f".*{_MIDNIGHT}")
        if later.any():
            cells = cells.str.replace(_MIDNIGHT, r"\g<1>00\2", regex=True)
            notes.append("24:00 is read as 00:00 of the next day.")
        else:
            later = None
    return cells, later, tuple(notes)
