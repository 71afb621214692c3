"""The forecast from a newer table, or from another one of the same shape, by the run as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.data.rounding import round_rows, rounding_note
from timellm.data.uploads import save_upload, table_path
from timellm.errors import TimeLLMError
from timellm.plots.forecast import future_chart, unusual_chart
from timellm.plots.template import looks
from timellm.ui import charts, keys
from timellm.ui.errors import explained, show_error
from timellm.ui.forecasting import downloads
from timellm.ui.forecasting.chosen import Chosen
from timellm.ui.run_results import Results
from timellm.ui.seeing.working import fitted_run, on_button
from timellm.ui.tables import ENDINGS, titles
from timellm.ui.words import moment, plain

if TYPE_CHECKING:
    from timellm.data.table import Table
    from timellm.forecasting.newer import Difference

_UPLOAD, _FAILURE = (keys.view("forecast", name) for name in ("newer-upload", "newer-failure"))
_PICKED = "newer"


def show(chosen: Chosen) -> None:
    """Choose a table, say how it differs from the run's own, and forecast from its end."""
    table_id = _choose()
    if table_id is None:
        st.info(
            "Bring the table with newer rows, or another one with the same channels and the same step between rows. "
            "The run forecasts from its end without any training.",
            icon=":material/info:",
        )
        return
    with explained("This table cannot be forecast from"):
        table, found = _read(chosen.results, table_path(table_id))
        _say_differences(found)
        _forecast(chosen, table, table_id)
    with explained("Unusual values cannot be looked for"):
        _unusual(chosen, table, table_id)


def _choose() -> str | None:
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The file was not taken", failure)
    left, right = st.columns(2)
    left.file_uploader("Newer table (CSV, Excel, Parquet, JSON)", type=ENDINGS, key=_UPLOAD, on_change=_bring)
    names = titles()
    several = Counter(names.values())  # the address names a table by its title
    names = {key: f"{name} ({key[:6]})" if several[name] > 1 else name for key, name in names.items()}
    picked: str | None = right.selectbox(
        "Or a table that is here", list(names), index=None, format_func=names.__getitem__, placeholder="Choose a table",
        **keys.in_address("newer", names),
    )  # fmt: skip
    return picked


def _bring() -> None:
    file = st.session_state[_UPLOAD]
    if file is None:  # taken out of the uploader again; the table stays
        return
    try:
        st.session_state[_PICKED] = save_upload(file.name, content=file.getvalue()).name
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)


def _read(results: Results, path: Path) -> tuple[Table, tuple[Difference, ...]]:
    stat = path.stat()
    return _table(results, str(results.run.run_dir), str(path), (stat.st_mtime_ns, stat.st_size))


@st.cache_resource(max_entries=4, show_spinner="Reading the table …")
def _table(_results: Results, run_dir: str, path: str, stamp: tuple[int, int]) -> tuple[Table, tuple[Difference, ...]]:
    """The table, and how it differs from the run's own."""
    from timellm.forecasting.newer import differences, read_newer

    own, config = _results.table(), _results.run.config
    table = read_newer(config, own, path)
    return table, differences(own, table, context=config.task.context)


def _say_differences(found: tuple[Difference, ...]) -> None:
    st.subheader("Beside the run's own table", anchor=False)
    st.markdown("\n".join(f"- {':material/warning: ' if one.grave else ''}{plain(one.sentence)}" for one in found))
    if not any(one.grave for one in found):
        st.caption("Range, level and spread of its last values are as in the run's own table.")


def _forecast(chosen: Chosen, table: Table, table_id: str) -> None:
    results, channel = chosen.results, chosen.channel
    frame: pd.DataFrame | None = on_button(
        "Forecast from this table", keys.view("forecast", "newer-forecast"),
        lambda _: fitted_run(results).forecast(table), result=("newer", *_key(results), table_id),
        icon=":material/play_arrow:",
    )  # fmt: skip
    if frame is None:
        return
    if chosen.levels and chosen.intervals is not None:
        frame = chosen.intervals.beyond(results.prepared().continued(table), frame, chosen.levels)
    rows = frame[frame["unique_id"] == channel].set_index("ds")
    mine, bands = rows["yhat"].rename(channel), rows.drop(columns=["unique_id", "yhat"])
    own = chosen.forecasts.own
    values = table.values[channel]
    history = values[values.index < mine.index[0]].iloc[-chosen.history_rows :]
    charts.draw(
        future_chart, history, {own: mine}, looks([own], own), bands=bands, shown=chosen.shown,
        alt=f"Forecast of {channel} beyond the newer table",
    )  # fmt: skip
    st.caption(
        f"{len(mine):,} rows from {moment(mine.index[0])} to {moment(mine.index[-1])}, in the units of the data. "
        f"Bands rest on the run's own test period. {rounding_note(chosen.shown.decimals)}"
    )
    chosen.say_why_no_band()
    numbers = [name for name in frame if name not in ("unique_id", "ds")]
    downloads.offer(
        round_rows(frame, chosen.decimals, numbers), f"forecast-{results.run.id}-newer", "Download CSV, all channels"
    )
    st.dataframe(
        chosen.rows_shown(mine, bands), hide_index=True, height=320, column_config=chosen.time_column,
        alt="The forecast from the newer table",
    )  # fmt: skip


def _unusual(chosen: Chosen, table: Table, table_id: str) -> None:
    """Values of its new rows outside the band of the forecast made one row before."""
    from timellm.forecasting.anomalies import new_points, outside, said_of

    new = int((table.values.index > chosen.table.values.index[-1]).sum())
    if not new or chosen.intervals is None:
        return
    st.subheader("Unusual values among the new rows", anchor=False)
    level = max(chosen.levels, default=95)
    points: pd.DataFrame | None = on_button(
        f"Look at {new:,} new {'row' if new == 1 else 'rows'}", keys.view("forecast", "newer-unusual"),
        lambda _: new_points(fitted_run(chosen.results), table, level),
        result=("newer-unusual", *_key(chosen.results), table_id, level), icon=":material/search:",
    )  # fmt: skip
    if points is None:
        st.caption("Each new value is held against the band of the forecast made one row before it.")
        return
    mine = points[points["unique_id"] == chosen.channel]
    if mine.empty:
        st.info("No new value of this channel has a complete context before it.", icon=":material/info:")
        return
    charts.draw(
        unusual_chart, mine.set_index("ds"), level=level, shown=chosen.shown,
        alt=f"Unusual new values of {chosen.channel}",
    )  # fmt: skip
    st.markdown(plain(said_of(mine, level)))
    found = outside(points)
    downloads.offer(found, f"unusual-{chosen.results.run.id}-newer", "Download CSV of these values")


def _key(results: Results) -> tuple[str, str]:
    return str(results.run.run_dir), str(results.run.ended)
