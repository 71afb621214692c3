"""What if: a grid of what is known ahead, and the forecast with other values beside the original.

The grid's edits live in session state; a counter in its key takes them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from timellm.data.effects import moment
from timellm.data.exported import to_csv
from timellm.forecasters.registry import kind_of
from timellm.forecasting.what_if import KNOWN_AHEAD, WhatIf, known_of
from timellm.plots.what_if import what_if_chart
from timellm.ui import charts, keys
from timellm.ui.errors import explained
from timellm.ui.run_results import Results
from timellm.ui.seeing.working import fitted_run, working
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.data.table import Table
    from timellm.forecasting.what_if import Scenario

_HISTORY_HORIZONS = 2


def panel(results: Results, channel: str) -> None:
    """What is known ahead of a channel, to be changed; nothing for a run that uses no such columns.

    Where the run has no forecast because these values are missing, the page ends here: it has nothing else to show.
    """
    prepared = results.prepared()
    if prepared.table.known is None:
        return
    if known_of(prepared) is None:
        names = ", ".join(map(plain, prepared.table.known.names))
        st.caption(f"Known ahead, and not used by this run: {names}. The run's notes say why.")
        return
    future = results.future()
    what_if = WhatIf(prepared, future, lambda table: _worked_out(results, table))
    st.header("What if", anchor=False)
    for note in results.run.summary.get("notes", []):
        if note.startswith(KNOWN_AHEAD):
            st.caption(plain(note))
    whose = "all channels" if what_if.for_all_channels else plain(channel)
    st.caption(
        f"Change what is known ahead for {whose}, and see the forecast move. Cells can be filled by pasting from a "
        "spreadsheet. Nothing is kept: the run and its forecast stay as they are."
    )
    values = _grid(results, what_if, channel)
    if gap := what_if.missing(values):
        st.info(
            f"The forecast needs every value. The first that is missing: {plain(gap)}. Type it in, or train again on a "
            "table (or with a second file) that has these rows."
        )
    else:
        with explained("The forecast with these values cannot be shown"):
            _show(results, what_if, channel, values)
    if future.empty:
        st.stop()


def _grid(results: Results, what_if: WhatIf, channel: str) -> pd.DataFrame:
    """The values as the user left them; a row each moment."""
    which = results.run.id + ("" if what_if.for_all_channels else f"/{channel}")
    counter = keys.view("forecast", f"what-if-reset/{which}")
    original = what_if.values(channel)
    columns: dict[str, Any] = {"Time": st.column_config.TextColumn(disabled=True)}
    for name in original:
        texts = what_if.categories.get(str(name))
        columns[str(name)] = (
            st.column_config.SelectboxColumn(options=list(texts)) if texts else st.column_config.NumberColumn()
        )
    shown = original.copy()
    for name in what_if.categories:
        shown[name] = original[name].astype(object).where(original[name].notna(), None)
    shown.insert(0, "Time", [moment(when) for when in original.index])
    version = st.session_state.get(counter, 0)
    edited = st.data_editor(
        shown,
        hide_index=True,
        height=min(38 + 35 * len(shown), 300),
        column_config=columns,
        num_rows="fixed",
        key=f"{keys.view('forecast', 'what-if')}/{which}/{version}",
    )
    st.button(
        "Back to the original values",
        icon=":material/undo:",
        key=f"{counter}/button",
        on_click=lambda: st.session_state.update({counter: version + 1}),
    )
    return edited.drop(columns="Time").set_axis(original.index)


def _show(results: Results, what_if: WhatIf, channel: str, values: pd.DataFrame) -> None:
    scenario = what_if.scenario(values, channel)
    original, changed = scenario.of(channel)
    if outside := what_if.beyond_training(values, channel):
        st.warning(
            f"Outside of what the run was trained on: {plain('; '.join(outside))}. The effect goes on in a straight "
            "line there, which nothing has tested.",
            icon=":material/warning:",
        )
    _totals(scenario, channel)
    history = results.table().values[channel].iloc[-_HISTORY_HORIZONS * len(changed) :]
    charts.draw(what_if_chart, history, original, changed, alt=f"Forecast of {channel} with other values known ahead")
    rows = scenario.frame()
    mine = rows[rows["unique_id"] == channel].drop(columns="unique_id")
    names = {"ds": "Time", "yhat_original": "Original", "yhat": "What if", "difference": "Difference"}
    left, right = st.columns(2, vertical_alignment="center")
    left.download_button(
        "Download this scenario", to_csv(rows), f"what-if-{results.run.id}.csv", "text/csv",
        icon=":material/download:", on_click="ignore", width="stretch",
    )  # fmt: skip
    right.download_button(
        "Download the values", to_csv(values.rename_axis("ds").reset_index()), f"known-{results.run.id}.csv",
        "text/csv", icon=":material/download:", on_click="ignore", width="stretch",
        help="For 'forecast DIR --known FILE' on the command line.",
    )  # fmt: skip
    with st.expander("Step by step"):
        shown = mine.rename(columns=names).assign(Time=[moment(when) for when in mine["ds"]])
        st.dataframe(shown, hide_index=True, alt="Both forecasts and their difference")


def _totals(scenario: Scenario, channel: str) -> None:
    """The sums over the horizon, and how far they lie apart."""
    original, changed = scenario.of(channel)
    with st.grid("auto", min_column_width=150):
        if original is not None:
            st.metric("Total, original", _rounded(original.sum()))
        st.metric("Total, what if", _rounded(changed.sum()))
        if original is not None:
            difference = float(changed.sum() - original.sum())
            share = f"{difference / abs(original.sum()):+.1%}" if difference and original.sum() else None
            st.metric("Difference", f"{'+' if difference > 0 else ''}{_rounded(difference)}", share, delta_color="off")
            steps = int((~(changed - original).abs().lt(1e-9)).sum())
            st.metric("Steps that change", f"{steps:,} of {len(changed):,}")


def _rounded(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:,.4g}"


def _worked_out(results: Results, table: Table) -> pd.DataFrame:
    """The forecast for a table whose columns known ahead were filled in; the run had none."""
    known, run = table.known, results.run
    assert known is not None
    key = ("what-if", str(run.run_dir), str(run.ended), known.values_SNK.tobytes())
    found = working().result(key)
    if found is None:
        with st.spinner(f"{kind_of(run.config.kind).title} works out the forecast …"):
            found = working().work(key, lambda: fitted_run(results).forecast(table), waiting=lambda: None)
    return found
