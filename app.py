"""Entry point: `streamlit run app.py`. Names the seven screens and runs the chosen one."""

import streamlit as st

from timellm.ui import keys

st.set_page_config(page_title="Time-LLM workbench", page_icon=":material/timeline:", layout="wide")

page = st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("pages/data.py", title="Data", icon=":material/table_chart:"),
        st.Page("pages/finetune.py", title="Fine-tune", icon=":material/tune:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/list_alt:"),
        st.Page("pages/forecast.py", title="Forecast", icon=":material/trending_up:"),
        st.Page("pages/metrics.py", title="Metrics", icon=":material/leaderboard:"),
        st.Page("pages/attention.py", title="Attention", icon=":material/grid_on:"),
    ],
    position="top",
)
keys.restore()
page.run()
