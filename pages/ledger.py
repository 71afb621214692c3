"""Ledger: what became of the forecasts that were kept?"""

import streamlit as st

from timellm.data.exported import to_csv
from timellm.ledger.entry import levels
from timellm.ledger.folder import Ledger
from timellm.ledger.points import points
from timellm.plots.kept import kept_chart
from timellm.ui import charts, keys
from timellm.ui.errors import explained, nothing_here, show_error
from timellm.ui.ledger import adjusting, bringing, one, table

st.title("Ledger")

with explained("The ledger cannot be read"):
    ledger = Ledger.open()
    if not ledger.ids():
        nothing_here(
            "No forecast is kept yet. Open a forecast and press *Keep this forecast*: it is scored here by itself when"
            " newer values arrive.",
            page="forecast.py",
            label="Open a forecast",
        )
    bringing.look(ledger)
bringing.ways(ledger)
with explained("The ledger cannot be read"):
    rows = table.read(ledger)
by_id = {row.entry_id: row for row in rows}
if keys.chosen("kept") not in by_id:
    keys.choose("kept", rows[0].entry_id)
st.caption("Select a cell to see its forecast.")
table.show(rows)

chosen = by_id[keys.chosen("kept") or rows[0].entry_id]
if chosen.score is None:
    show_error("This kept forecast cannot be shown", chosen.damage)
    st.stop()

entry = chosen.score.entry
with explained("This kept forecast cannot be shown"):
    one.head(chosen.score)
    everything, context = points(ledger, entry), ledger.context(entry)
    channel = st.selectbox("Channel", entry.channels, **keys.in_address("channel", entry.channels))
    mine = everything[everything["unique_id"] == channel]
    history = context[context["unique_id"] == channel].set_index("ds")["y"].iloc[-2 * entry.horizon :]
    charts.draw(kept_chart, history, mine, levels(tuple(mine.columns)), alt=f"Kept forecast of {channel}")
    one.numbers(chosen.score)
    st.header("Adjust by hand", anchor=False)
    adjusting.grid(ledger, entry, mine)
    one.origin(ledger, chosen.score)
st.download_button(
    "Download CSV, all channels", to_csv(everything), f"kept-{entry.id}.csv", "text/csv", icon=":material/download:",
    on_click="ignore",
)  # fmt: skip
