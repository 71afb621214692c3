"""The quality report of the Data page: findings, gravest first, each with a button that moves the chart to its place.

Inputs: a table and its `Quality`. Outputs: widgets, and which stretch the chart shows. A finding is named in the
address, so that a shared link shows the same place.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import streamlit as st

from timellm.config import TaskConfig
from timellm.config.repair import filling
from timellm.errors import DataError
from timellm.plots.series import Stretch
from timellm.quality.finding import SEVERITIES, Finding
from timellm.quality.words import in_few_words, more_found, nothing_found, said
from timellm.ui import keys, loaders, repairing, tables
from timellm.ui.words import moment, plain

if TYPE_CHECKING:
    from timellm.config import DataConfig
    from timellm.data.table import Table
    from timellm.quality.checks import Quality

CHART, REPAIR = "Chart", "Repair"
_COLOURS = {"grave": "red", "warning": "orange", "fact": "blue"}
_ICONS = {"grave": ":material/error:", "warning": ":material/warning:", "fact": ":material/info:"}
_MANY = 6
"""Findings from which on they can be filtered."""
_MOST_OF_A_KIND = 3
"""Findings of one kind that are shown at once; the others are folded away."""
_SHOWN = keys.view("data", "severities")


def checked(table_id: str, config: DataConfig, table: Table) -> Quality:
    """The report on a table for the context, horizon, split and gaps of its set-up form, or for the defaults.

    Raises:
        DataError: there is no such table.
    """
    task, missing = TaskConfig(), TaskConfig().missing
    try:
        form = tables.form(table_id, config, table)
    except DataError:  # too short for any run, which the report says
        pass
    else:
        task = TaskConfig(**{name: form.value(name) for name in ("context", "horizon", "split")})
        missing = form.value("missing")
    return loaders.quality(config, table, task, filled=(filling(config.repair) or missing) != "skip")


def show(quality: Quality, table_id: str) -> None:
    """The findings, which severities are shown where there are many, and the checks that found nothing."""
    shown = _severities(quality)
    for group in quality.grouped():
        if group[0].severity not in shown:
            continue
        for finding in group[:_MOST_OF_A_KIND]:
            _row(finding, table_id)
        if rest := group[_MOST_OF_A_KIND:]:
            with st.expander(plain(in_few_words(rest))):
                for finding in rest:
                    _row(finding, table_id)
    for sentence in (*more_found(quality), nothing_found(quality)):
        if sentence:
            st.caption(plain(sentence))


def show_refused(error: DataError) -> None:
    """What makes a table unusable, with where and which repair, as far as the error says so."""
    from timellm.quality.refused import findings_of

    for finding in findings_of(error):
        _row(finding)


def chosen(quality: Quality, channel: str) -> Finding | None:
    """The finding whose place the chart shows, from a list of those of this channel or of all channels."""
    offered = {one.key: one for one in quality.findings if one.where and one.channel in (None, channel)}
    if not offered:
        return None
    key = st.selectbox(
        "Show",
        [None, *offered],
        format_func=lambda key: "the whole series" if key is None else _label(offered[key]),
        **keys.in_address("finding", [None, *offered]),
    )
    return offered.get(key) if key else None


def stretch_of(finding: Finding, table: Table) -> Stretch:
    """What the chart shows of a finding: one of its places, with rows beside it, and the places marked in it."""
    spot = 0
    if len(finding.where) > 1:
        places = range(len(finding.where))
        spot = st.selectbox(
            "Place",
            places,
            format_func=lambda at: f"{at + 1} of {len(places)}: {moment(finding.where[at].start)}",
            **keys.in_address("spot", places),
        )
    at = finding.where[spot]
    rows = len(table.values)
    beside = rows // 8 if finding.kind == "level_shift" else max(2 * at.rows, min(120, rows // 8), 10)
    first, last = max(0, at.first_row - beside), min(rows - 1, at.last_row + beside)
    marks = tuple((one.first_row, one.last_row) for one in finding.where if one.rows < rows)
    return Stretch(first, last, marks)


def in_words(finding: Finding) -> str:
    """What was found, for the line below the chart."""
    return plain(said(finding).what)


def _severities(quality: Quality) -> list[str]:
    """The severities that are shown: a choice where there are many findings."""
    counts = Counter(finding.severity for finding in quality.findings)
    there: list[str] = [one for one in SEVERITIES if counts[one]]
    if len(quality.findings) <= _MANY or len(there) < 2:
        return there
    return st.pills(
        "Show findings",
        there,
        selection_mode="multi",
        default=there,
        format_func=lambda one: f"{one}: {counts[one]:,}",
        key=_SHOWN,
    )


def _label(finding: Finding) -> str:
    title, other = said(finding).title, finding.values.get("of")
    return plain(f"{title} ({other})" if other else title)


def _row(finding: Finding, table_id: str | None = None) -> None:
    """One finding; with a table's id, buttons that move the chart to it and look at its repair."""
    words = said(finding)
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center"):
            badge = f":{_COLOURS[finding.severity]}-badge[{_ICONS[finding.severity]} {finding.severity}]"
            st.markdown(f"{badge} **{plain(words.title)}.** {plain(words.what)}", width="stretch")
            if table_id is not None and finding.repair is not None:
                st.button(
                    "Repair",
                    key=keys.view("data", f"mend/{finding.key}"),
                    icon=":material/healing:",
                    help="Look at the repair before it is made.",
                    on_click=_mend,
                    args=(table_id, finding),
                )
            if table_id is not None and finding.where:
                st.button(
                    "Show",
                    key=keys.view("data", f"show/{finding.key}"),
                    icon=":material/my_location:",
                    help="Move the chart there.",
                    on_click=_go,
                    args=(finding,),
                )
        rest = " ".join(filter(None, (words.effect, words.where, words.repair)))
        if rest:
            st.caption(plain(rest))


def _go(finding: Finding) -> None:
    """Move the chart to a finding's first place."""
    st.session_state["part"] = CHART
    if finding.channel is not None:
        st.session_state["channel"] = finding.channel
    st.session_state["finding"] = finding.key
    st.session_state.pop("spot", None)


def _mend(table_id: str, finding: Finding) -> None:
    """Show what a finding's repair would do, on its channel."""
    if finding.repair is not None:
        st.session_state["part"] = REPAIR
        channel = finding.channel if finding.repair.kind != "drop" else None
        repairing.look_at(table_id, finding.repair.step, channel)
