"""Overview: what can I do now?"""

import streamlit as st

from timellm.data.samples import samples
from timellm.jobs.local.launcher import supervise
from timellm.ui import tables
from timellm.ui.errors import explained, without_server_paths
from timellm.ui.loaders import store
from timellm.ui.machine import machine_line
from timellm.ui.pickers import has_results
from timellm.ui.words import ago, phase_line, plain, skill_words, state_badge

st.title("Time-LLM workbench")
st.markdown(
    "Forecast time series with a frozen language model and small trained adapters. Your data stays on this machine."
)

with explained("The list of runs cannot be read"):
    supervise(store())
    runs = store().runs(6)

own, sample, last = st.columns(3)
with own, st.container(border=True, height="stretch"):
    st.markdown("**Your own table**")
    st.markdown("A CSV with one timestamp column and numeric columns, or `unique_id, ds, y`.")
    st.space("stretch")
    st.page_link("data.py", label="Upload a file", icon=":material/upload_file:")
with sample, st.container(border=True, height="stretch"):
    st.markdown("**A sample**")
    st.markdown(f"{len(samples())} tables, from every five minutes to monthly. Real data, openly licensed.")
    st.space("stretch")
    open_sample = {"table": tables.sample_id(samples()[0])}
    st.page_link("data.py", label=plain(samples()[0].title), icon=":material/dataset:", query_params=open_sample)
with last, st.container(border=True, height="stretch"):
    st.markdown("**The last run**")
    if runs:
        st.markdown(f"{plain(runs[0].name)} {state_badge(runs[0])}")
        st.space("stretch")
        page, label = ("forecast", "See the forecast") if has_results(runs[0]) else ("runs", "See the run")
        st.page_link(f"{page}.py", label=label, icon=":material/arrow_forward:", query_params={"run": runs[0].id})
    else:
        st.markdown("None yet. A first run on the sample takes about a minute.")

if runs:
    st.header("Recent runs", anchor=False)
    for run in runs:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            said = (
                skill_words(run.summary.get("skill"), run.summary.get("rival")) if has_results(run) else phase_line(run)
            )
            st.page_link("runs.py", label=f"**{plain(run.name)}**", query_params={"run": run.id})
            st.markdown(state_badge(run), width="content")
            if run.state == "failed":
                said = plain(without_server_paths(run.error or "failed"))
            st.markdown(said, width="stretch")
            st.caption(ago(run.started or run.created), width="content")

st.caption(f":material/computer: {machine_line()}")
