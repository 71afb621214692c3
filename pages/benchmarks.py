"""Benchmarks: what do the experiments of papers come to here, and how does that compare with their numbers?"""

import streamlit as st

from timellm.ui.benchmarks import form, group

st.title("Benchmarks")

protocol = form.choose()
st.caption(protocol.purpose)
asked = form.asked(protocol)
runs = group.planned(protocol, asked)
group.files(runs)
now = group.found(runs)
if runs.plan.cells:
    group.progress(runs, now)
group.table(runs, now)
