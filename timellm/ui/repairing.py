"""Repairs of the chosen table: choose one, see the table before and after it, apply it; undo one or all.

The applied steps are the setting `repair` among the table's corrections. A step that is only looked at is in session
state. The file itself is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from timellm.config import DataConfig
from timellm.config.repair import RepairStep, filling, with_step
from timellm.errors import QuestionError, RepairableError, TimeLLMError
from timellm.plots.repair import before_after, near
from timellm.ui import charts, corrections, keys, loaders, repair_choice, tables
from timellm.ui.errors import show_error
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.repair.report import StepReport
    from timellm.data.table import Table


_NEAR = 60
"""Rows on each side of the first change, where the chart shows that alone."""
_MOST_TRIED = 20
_WHOLE, _FIRST = "Whole series", "First change"


@dataclass(frozen=True)
class View:
    """A table with its repairs, as far as it can be read: regular rows, or else records."""

    table: Table | None
    channels: tuple[str, ...]
    reports: tuple[StepReport, ...]
    refused: RepairableError | None
    config: DataConfig

    @classmethod
    def of(cls, config: DataConfig) -> View:
        """Read a configuration's table.

        Raises:
            TimeLLMError: neither rows nor records can be read.
        """
        try:
            table = loaders.table(config)
        except RepairableError as error:
            try:
                found = loaders.before_grid(config)
            except RepairableError as inner:  # a column of something else
                return cls(None, (), (), inner, config)
            return cls(None, found.entries.names, found.reports, error, config)
        return cls(table, table.channels, table.repairs, None, config)

    @property
    def rows(self) -> int | None:
        """Rows, or records; None where not even these can be read."""
        if self.table is not None:
            return len(self.table.values)
        return len(loaders.before_grid(self.config).entries) if self.channels else None

    def series(self, channel: str) -> pd.Series:
        """A channel as a model sees it at the table's end: with its gaps filled, if that was chosen."""
        if channel not in self.channels:
            return pd.Series(dtype=float, index=pd.DatetimeIndex([]), name=channel)
        if self.table is None:
            return loaders.before_grid(self.config).entries.channel(channel)
        values, missing = self.table.values[channel], filling(self.config.repair)
        if missing is None:
            return values
        from timellm.data.gaps import filled_at_the_end

        return pd.Series(filled_at_the_end(values.to_numpy()[:, None], missing)[:, 0], values.index, name=channel)


def has_repairs() -> bool:
    """Whether the chosen table has repairs."""
    return bool(_applied())


def look_at(table_id: str, step: str, channel: str | None) -> None:
    """Preview a step on the panel of a table, and draw this channel before and after it."""
    _look_at(_candidate(table_id), step)
    if channel is None:
        st.session_state.pop(_channel_key(table_id), None)
    else:
        st.session_state[_channel_key(table_id)] = channel


def panel(table_id: str, said: str = "") -> None:
    """Applied repairs, steps that would make a refused table readable, the choice of another one, and its preview.

    `said` is why the table is refused, as the page has said it.

    Raises:
        QuestionError: the numbers can be read in several ways.
    """
    config = tables.config(table_id)
    candidate = _candidate(table_id)
    st.caption("Repairs are made after reading. The file stays as it is, and each repair can be undone.")
    now = _view_of(config)
    _list_applied(table_id, now)
    if now is None:  # a step cannot be made; what could follow is not known
        return
    offers = now.refused.repairs if now.refused else ()
    if offers:
        if now.refused and now.refused.found != said:
            st.markdown(plain(f"First: {now.refused.found}."))
        st.markdown("**These repairs help.** Look at one, then apply it.")
        with st.container(horizontal=True):
            for step in offers:
                st.button(
                    plain(RepairStep.parse(step).words), key=keys.view("data", f"offer/{table_id}/{step}"),
                    on_click=_look_at, args=(candidate, step),
                )  # fmt: skip
    picked = repair_choice.chosen(table_id, now.table, now.channels)
    if picked is not None:
        _look_at(candidate, picked)
    looked_at = st.session_state.get(candidate) or (offers[0] if offers else None)
    if looked_at is not None:
        _preview(table_id, candidate, config, now, looked_at)


def _channel_key(table_id: str) -> str:
    return keys.setting(table_id, "repair-channel")


def _candidate(table_id: str) -> str:
    return keys.view("data", f"repair/{table_id}")


def _look_at(candidate: str, step: str | None) -> None:
    st.session_state[candidate] = step


def _applied() -> tuple[str, ...]:
    found = keys.roles().get("repair")
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()


def _view_of(config: DataConfig) -> View | None:
    try:
        return View.of(config)
    except QuestionError:
        raise
    except TimeLLMError as error:
        show_error("The table cannot be read with these repairs", str(error))
        return None


def _list_applied(table_id: str, now: View | None) -> None:
    steps = _applied()
    if not steps:
        return
    st.markdown(f"**Applied, in this order: {len(steps)}**")
    for place, step in enumerate(steps):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{place + 1}. {plain(RepairStep.parse(step).words)}", width="stretch")
            st.button(
                "Undo", icon=":material/undo:", key=keys.view("data", f"undo/{table_id}/{place}"),
                on_click=_put, args=(steps[:place] + steps[place + 1 :],),
            )  # fmt: skip
        report = _report(now, step)
        if report is not None:
            st.caption(plain(report.outcome))
    if len(steps) > 1:
        st.button("Undo all", icon=":material/restart_alt:", key=keys.view("data", f"undo-all/{table_id}"),
                  on_click=_put, args=((),))  # fmt: skip


def _report(view: View | None, step: str) -> StepReport | None:
    reports = [report for report in view.reports if str(report.step) == step] if view else []
    return reports[-1] if reports else None


def _preview(table_id: str, candidate: str, config: DataConfig, now: View, step: str) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(RepairStep.parse(step).words)}**")
        try:
            steps = with_step(_applied(), step)
            after = View.of(tables.repaired(config, steps))
        except QuestionError:
            raise
        except (TimeLLMError, ValueError) as error:
            show_error("This repair cannot be made", str(error))
            st.button(
                "Discard", key=keys.view("data", f"discard/{table_id}"), on_click=_look_at, args=(candidate, None)
            )
            return
        report = _report(after, step)
        _drawn(table_id, now, after, report)
        counts = report.counts if report else {}
        with st.grid("auto", min_column_width=130):
            for label, rows in (("Rows before", now.rows), ("Rows after", after.rows)):
                st.metric(label, "–" if rows is None else f"{rows:,}")
            for what in ("changed", "added", "removed"):
                st.metric(f"Cells {what}", f"{counts.get(what, 0):,}")
        if report is not None:
            st.caption(plain(report.outcome))
        if after.refused is not None:
            show_error("After it, the table needs another repair", after.refused.found)
        with st.container(horizontal=True):
            st.button(
                "Apply", type="primary", icon=":material/check:", key=keys.view("data", f"apply/{table_id}"),
                on_click=_apply, args=(table_id, candidate, steps, RepairStep.parse(step)),
            )  # fmt: skip
            if st.session_state.get(candidate):
                st.button("Discard", key=keys.view("data", f"discard/{table_id}"), on_click=_look_at,
                          args=(candidate, None))  # fmt: skip


def _first_that_varies(view: View, channels: list[str]) -> int:
    varying = (place for place, name in enumerate(channels[:_MOST_TRIED]) if view.series(name).nunique() > 1)
    return next(varying, 0)


def _drawn(table_id: str, now: View, after: View, report: StepReport | None) -> None:
    """One channel before and after, whole or where it changes first."""
    channels = [name for name in after.channels if name in now.channels] or list(after.channels)
    if not channels:
        return
    channel = channels[0]
    if len(channels) > 1:
        channel = st.selectbox(
            "Channel to look at", channels, index=_first_that_varies(after, channels),
            key=_channel_key(table_id),
        )  # fmt: skip
    one, other = now.series(channel), after.series(channel)
    if report is not None and report.places and len(other) > 4 * _NEAR:
        key = keys.setting(table_id, "repair-part")
        if st.segmented_control("Show", [_WHOLE, _FIRST], default=_WHOLE, required=True, key=key) == _FIRST:
            first = pd.Timestamp(report.places[0])
            one, other = near(one, first, _NEAR), near(other, first, _NEAR)
    charts.draw(before_after, one, other, alt=f"{channel} before and after the repair")


def _apply(table_id: str, candidate: str, steps: tuple[str, ...], step: RepairStep) -> None:
    st.session_state[candidate] = None
    if step.kind == "resample":  # it says the step between rows
        st.session_state[keys.setting(table_id, "frequency")] = ""
    if step.kind == "drop" and step.arguments[0] == "channel":
        st.session_state.pop(keys.setting(table_id, "channels"), None)
    _put(steps, without=("frequency",) if step.kind == "resample" else ())


def _put(steps: tuple[str, ...], without: tuple[str, ...] = ()) -> None:
    kept: dict[str, Any] = {n: value for n, value in keys.roles().items() if n != "repair" and n not in without}
    corrections.choose(kept | ({"repair": list(steps)} if steps else {}))
