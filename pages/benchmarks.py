"""Benchmarks: what do the experiments of papers come to here, and how does that compare with their numbers?"""

import streamlit as st

from timellm.jobs.local.protocol_runs import Placed
from timellm.ui.benchmarks import form, group, results

st.title("Benchmarks")

protocol = form.choose()
st.caption(protocol.purpose)
asked = form.asked(protocol)
runs = None if asked is None else group.planned(protocol, asked)
found: tuple[Placed, ...] = ()
if runs is not None:
    group.files(runs)
    found = group.found(runs)
measured = results.measured(protocol, runs, found)
if runs is not None and runs.plan.cells:
    group.progress(runs, found, measured.cells if measured else ())
if measured is not None:
    results.table(measured, runs)
