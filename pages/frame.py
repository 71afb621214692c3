"""The frame round every screen: names the nine of them, keeps the ids in the URL, and runs the chosen one."""

from pathlib import Path

import streamlit as st

from timellm.ui import corrections, keys, style
from timellm.ui.address import explained_address
from timellm.ui.garbage import libraries

# A picture of our own: a Material symbol as page icon would be fetched from a font host.
ICON = Path(keys.__file__).with_name("icon.png")

st.set_page_config(page_title="Time-LLM workbench", page_icon=str(ICON), layout="wide")

page = st.navigation(
    [
        st.Page("overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("data.py", title="Data", icon=":material/table_chart:"),
        st.Page("finetune.py", title="Fine-tune", icon=":material/tune:"),
        st.Page("runs.py", title="Runs", icon=":material/list_alt:"),
        st.Page("forecast.py", title="Forecast", icon=":material/trending_up:"),
        st.Page("metrics.py", title="Metrics", icon=":material/leaderboard:"),
        st.Page("attention.py", title="Attention", icon=":material/grid_on:"),
        st.Page("ledger.py", title="Ledger", icon=":material/fact_check:"),
        st.Page("benchmarks.py", title="Benchmarks", icon=":material/science:"),
        st.Page("compare.py", title="Compare", icon=":material/compare_arrows:", visibility="hidden"),
    ],
    position="top",
)
style.readable()
keys.restore()
corrections.restore()
libraries.set_aside()  # what earlier pages have imported
with explained_address():
    page.run()
