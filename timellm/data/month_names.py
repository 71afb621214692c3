"""Names of months in the common languages, as English ones.

Inputs: cells of text. Outputs: the same cells with Jan, Feb ... in place of Januar, févr., marzo.
"""

from __future__ import annotations

import re

import pandas as pd

# German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Russian; longer names before their short forms.
_NAMES = {
    "Jan": "января|январь|янв|januar|jänner|janvier|janv|enero|ene|gennaio|gen|janeiro|januari|stycznia|styczeń|sty",
    "Feb": "февраля|февраль|фев|"
    "februar|février|fevrier|févr|fevr|fév|febrero|febbraio|fevereiro|fev|februari|lutego|luty|lut",
    "Mar": "марта|март|мар|märz|maerz|mrz|mär|mars|marzo|março|marco|maart|mrt|marca|marzec",
    "Apr": "апреля|апрель|апр|avril|avr|abril|abr|aprile|kwietnia|kwiecień|kwi",
    "May": "мая|май|mai|mayo|maggio|mag|maio|mei|maja|maj",
    "Jun": "июня|июнь|июн|juni|juin|junio|giugno|giu|junho|czerwca|czerwiec|cze",
    "Jul": "июля|июль|июл|juli|juillet|juil|julio|luglio|lug|julho|lipca|lipiec|lip",
    "Aug": "августа|август|авг|août|aout|agosto|ago|augustus|augusti|sierpnia|sierpień|sie",
    "Sep": "сентября|сентябрь|сен|septembre|septiembre|settembre|setembro|sept|set|września|wrzesień|wrz",
    "Oct": "октября|октябрь|окт|oktober|okt|octobre|octubre|ottobre|ott|outubro|out|października|październik|paź",
    "Nov": "ноября|ноябрь|ноя|noviembre|novembro|novembre|listopada|listopad|lis",
    "Dec": "декабря|декабрь|дек|"
    "dezember|dez|décembre|decembre|déc|diciembre|dicembre|dic|dezembro|grudnia|grudzień|gru",
}
_ENGLISH = {name: month for month, names in _NAMES.items() for name in names.split("|")}
_PATTERN = re.compile(rf"(?i)(?<![^\W\d_])({'|'.join(sorted(_ENGLISH, key=len, reverse=True))})\.?(?![^\W\d_])")
STARTS = "|".join(sorted({name[:3].lower() for name in (*_NAMES, *_ENGLISH)}))
"""How the names begin, English ones too, as a pattern."""


def in_english(cells: pd.Series) -> pd.Series:
    """The cells with English names of months; unchanged where the first cell has no letter."""
    if cells.empty or not re.search(r"[^\W\d_]{3}", str(cells.iloc[0])):
        return cells
    return cells.str.replace(_PATTERN, lambda found: _ENGLISH[found.group(1).lower()], regex=True)
