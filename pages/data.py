"""Data: is my table fit to forecast?"""

import streamlit as st

from timellm.data.season import step_name
from timellm.errors import DataError, RepairableError, TimeLLMError
from timellm.ui import (
    corrections,
    elsewhere,
    gallery,
    keys,
    loaders,
    quality,
    questions,
    repairing,
    series_chart,
    tables,
)
from timellm.ui.errors import explained, show_error
from timellm.ui.uploaded import uploaded_tables
from timellm.ui.words import moment, plain

st.title("Data")

table_id = tables.source()
with explained("The uploaded tables cannot be listed"):
    uploaded_tables()
elsewhere.show()
if table_id is None:
    with st.container(border=True):
        st.markdown("Upload a CSV file or choose a sample. This page then shows its series; fine-tuning comes next.")
    gallery.show()
    st.stop()

try:
    config = tables.config(table_id)
except TimeLLMError as error:
    show_error("This table cannot be opened", str(error))
    corrections.offer_to_forget()
    st.stop()
try:
    with questions.asked(table_id):
        table = loaders.table(config)
except TimeLLMError as error:
    cause = error.found if isinstance(error, RepairableError) else str(error)
    show_error("This table cannot be used as it is", cause)
    if isinstance(error, DataError):
        quality.show_refused(error)
    if isinstance(error, RepairableError) or repairing.has_repairs():
        st.header("Repair it", anchor=False)
        with questions.asked(table_id):
            repairing.panel(table_id, cause)
    st.header("Correct how it is read", anchor=False)
    tables.roles_form(table_id)
    st.stop()

rows, channels = table.values.shape
missing = int(table.values.isna().to_numpy().sum())

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.header(plain(tables.title(table_id)), anchor=False, width="content")
    if st.button("Fine-tune on this table", type="primary", icon=":material/tune:"):
        st.switch_page("finetune.py", query_params=keys.without_views())
with st.grid("auto", min_column_width=150):
    st.metric("Rows", f"{rows:,}")
    st.metric("Channels", f"{channels:,}")
    st.metric("One row every", step_name(table.frequency), help=f"Pandas writes this frequency as {table.frequency}.")
    st.metric("From", moment(table.values.index[0]))
    st.metric("To", moment(table.values.index[-1]))
    st.metric("Missing", f"{missing / table.values.size:.2%}" if missing else "none", help=f"{missing:,} values.")

with explained("The table cannot be checked"):
    checked = quality.checked(table_id, config, table)

chart, report, repair, columns, description = st.tabs(
    [quality.CHART, "Quality", quality.REPAIR, "Columns", "Description"], **keys.in_address("part")
)
with chart:
    series_chart.show(table_id, table, checked)
with report:
    quality.show(checked, table_id)
    if table.notes:
        st.markdown("**How the file was read**")
        for note in table.notes:
            st.markdown(f":material/info: {plain(note)}")
    if missing:
        st.caption(
            "Missing values are never filled silently: windows that touch one are left out, unless you choose to fill "
            "them on the set-up page or under Repair."
        )
with repair, explained("The table cannot be repaired"), questions.asked(table_id):
    repairing.panel(table_id)
with columns, explained("The columns cannot be read"):
    tables.roles_form(table_id)
with description, explained("A description cannot be suggested"):
    st.caption("The language model reads this before every window. Correct it: what is measured, where, in which unit.")
    tables.description(tables.form(table_id, config, table), table)
