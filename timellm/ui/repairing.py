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
from timellm.plots.repair import before_after, changed_cells
from timellm.ui import charts, corrections, keys, loaders, repair_choice, tables
from timellm.ui.errors import show_error
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.repair.report import StepReport
    from timellm.data.table import Table


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
            found = loaders.before_grid(config)
            return cls(None, found.entries.names, found.reports, error, config)
        return cls(table, table.channels, table.repairs, None, config)

    @property
    def rows(self) -> int:
        """Rows, or records."""
        return len(loaders.before_grid(self.config).entries) if self.table is None else len(self.table.values)

    def series(self, channel: str) -> pd.Series:
        """A channel as a model sees it at the table's end: with its gaps filled, if that was chosen."""
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


def panel(table_id: str, offers: tuple[str, ...] = ()) -> None:
    """Applied repairs, the choice of another one, and its preview; `offers` are steps that would make it readable.

    Raises:
        QuestionError: the numbers can be read in several ways.
    """
    config = tables.config(table_id)
    candidate = keys.view("data", f"repair/{table_id}")
    st.caption("Repairs are made after reading. The file stays as it is, and each repair can be undone.")
    now = _view_of(config)
    _list_applied(table_id, now)
    if now is None:  # a step cannot be made; what could follow is not known
        return
    if offers:
        st.markdown("**These repairs make the table readable.** Look at one, then apply it.")
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
            st.caption(plain(report.sentence.partition(": ")[2]))
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
        both = [name for name in now.channels if name in after.channels]
        channel = both[0]
        if len(both) > 1:
            channel = st.selectbox("Channel to look at", both, key=keys.setting(table_id, "repair-channel"))
        one, other = now.series(channel), after.series(channel)
        charts.draw(before_after, one, other, alt=f"{channel} before and after the repair")
        marked = len(changed_cells(one, other))
        report = _report(after, step)
        counts = report.counts if report else {}
        with st.grid("auto", min_column_width=130):
            st.metric("Rows before", f"{now.rows:,}")
            st.metric("Rows after", f"{after.rows:,}")
            for what in ("changed", "added", "removed"):
                st.metric(f"Cells {what}", f"{counts.get(what, 0):,}")
        if report is not None:
            st.caption(plain(report.sentence.partition(": ")[2]))
        if marked and len(other):
            st.caption(
                f"In the chart, {marked:,} of {len(other):,} cells of {plain(channel)} are new or have another value."
            )
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
