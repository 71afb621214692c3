"""The parts that a report is put together from: headings, tables and figures as one HTML file.

Inputs: texts, numbers, figures of matplotlib. Outputs: HTML. Every text is escaped here, so that a name from a user's
table stays a name; `Html` marks what is HTML already. The file has its style and figures inside, asks no network for
anything, holds no script, and prints on A4.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from typing import Any, NewType

import pandas as pd
from matplotlib.figure import Figure

from timellm.plots.exporting import figure_bytes

Html = NewType("Html", str)

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 52rem; background: #fff; color: #0e1513;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; padding-top: .8rem; border-top: 1px solid #d5dcda; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p { margin: .4rem 0; }
.lead { font-size: 1.08rem; }
.faint { color: #5d6966; font-size: .88rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; margin: .5rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #d5dcda; text-align: left; vertical-align: top; }
th { color: #5d6966; font-weight: 600; }
td:not(.number):not(:first-child) { min-width: 9rem; }
.number { text-align: right; min-width: 4.2rem; }
td.number { white-space: nowrap; }
tr.own td { font-weight: 600; background: #eef5f4; }
figure { margin: .8rem 0; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; max-width: 42rem; }
figcaption { color: #5d6966; font-size: .85rem; }
pre { background: #f3f5f4; padding: .8rem; font-size: .75rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@page { size: A4; margin: 16mm 14mm 18mm;
  @bottom-right { content: counter(page) " / " counter(pages); font: 9pt system-ui, sans-serif; color: #5d6966; } }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2, h3 { break-after: avoid; }
  h2.new-page { break-before: page; border-top: 0; }
  tr, p, .short { break-inside: avoid; }
  thead { display: table-header-group; }
  .wide { overflow: visible; }
  table { font-size: 8.5pt; }
}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_TAG, _COMMENT = re.compile(r"<[^>]*>"), re.compile(r"<!--.*?-->", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_FEW_ROWS = 14
"""A table of no more stays on one page of paper."""
_NUMERIC = re.compile(r"[+-]?[\d.,e-]*%?")
_REFERENCE = re.compile(r'(\bid="|url\(#|href="#)')


def text(value: Any) -> Html:
    """A text as it is, with nothing in it read as HTML; a number with four significant digits; a dash for nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return Html("–")
    if isinstance(value, float):
        return Html(html.escape(number(value)))
    if isinstance(value, int) and not isinstance(value, bool):
        return Html(f"{value:,}")
    # Control characters have no place in HTML, escaped or not.
    plain = "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in str(value))
    return Html(html.escape(plain))


def number(value: float, digits: int = 4) -> str:
    """A number with `digits` significant digits and thousands separators."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 8)}f}"


def moment(stamp: pd.Timestamp) -> str:
    """A timestamp without the zeros that say nothing."""
    return f"{stamp:%Y-%m-%d}" if stamp == stamp.normalize() else f"{stamp:%Y-%m-%d %H:%M}"


def paragraph(*parts: Any, kind: str = "") -> Html:
    """A paragraph of texts, each escaped."""
    inner = " ".join(text(part) for part in parts if part not in (None, ""))
    return Html(f'<p class="{kind}">{inner}</p>' if kind else f"<p>{inner}</p>") if inner else Html("")


def heading(words: str, level: int = 2, *, new_page: bool = False) -> Html:
    """A heading; with `new_page` it begins a page on paper."""
    kind = ' class="new-page"' if new_page else ""
    return Html(f"<h{level}{kind}>{text(words)}</h{level}>")


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], *, own: int | None = None) -> Html:
    """Rows under their header; `own` is the place of a row that stands out. Columns of numbers are set right."""
    numeric = [
        all(isinstance(row[place], int | float) or _NUMERIC.fullmatch(str(row[place] or "")) for row in rows)
        for place in range(len(header))
    ]

    def cell(tag: str, value: Any, place: int) -> str:
        kind = ' class="number"' if numeric[place] else ""
        return f"<{tag}{kind}>{text(value)}</{tag}>"

    head = "".join(cell("th", name, place) for place, name in enumerate(header))
    lines = []
    for place, row in enumerate(rows):
        cells = "".join(cell("td", value, column) for column, value in enumerate(row))
        lines.append(f'<tr class="own">{cells}</tr>' if place == own else f"<tr>{cells}</tr>")
    kind = "wide short" if len(rows) <= _FEW_ROWS else "wide"
    return Html(
        f'<div class="{kind}"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def figure(drawn: Figure, *, alt: str, name: str) -> Html:
    """A figure as SVG with its text alternative, which stands under it; `name` tells its parts from other figures'."""
    svg = figure_bytes(drawn, "svg").decode()
    svg = _COMMENT.sub("", _METADATA.sub("", svg[svg.index("<svg") :]))
    svg = _TAG.sub(lambda found: _REFERENCE.sub(rf"\g<1>{name}-", found[0]), svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{text(alt)}"', 1)
    return Html(f"<figure>{svg}<figcaption>{text(alt)}</figcaption></figure>")


def code(content: str) -> Html:
    """A program's text."""
    return Html(f"<pre>{text(content)}</pre>")


def document(title: str, parts: Sequence[Html]) -> str:
    """The whole file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
