"""Runs: how is it going, and which was best?"""

import streamlit as st

from timellm.jobs.local.launcher import supervise
from timellm.jobs.store.listing import list_runs
from timellm.ui import carrying, keys, queue, reporting, run_actions
from timellm.ui.beginning import said
from timellm.ui.errors import explained, nothing_here
from timellm.ui.loaders import store
from timellm.ui.monitor import file_rows, history_rows, watch
from timellm.ui.pickers import has_results, what_is_inside
from timellm.ui.pinned import can_be_pinned, scrub
from timellm.ui.runs_table import runs_table
from timellm.ui.settings import as_file, differences, label, shown
from timellm.ui.words import ago, plain, state_badge

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title("Runs", width="content")
    with explained("Runs cannot be imported"):
        carrying.import_one()

with explained("The list of runs cannot be read"):
    supervise(store())
    listed = list_runs(store().database)
    run_actions.say_if_gone(listed)
    if not listed:
        nothing_here(
            "There is no run yet. Choose a table and start fine-tuning; it works in the background and shows here.",
            page="data.py",
            label="Choose a table",
        )
    if not keys.chosen("run"):
        keys.choose("run", listed[0].id)
    runs_table(listed)

with explained("This run cannot be shown"):
    run = run_actions.chosen_run()

run_actions.show_failure()
carrying.show_imported()
st.header(plain(run.name), anchor=False)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    when = f"started {ago(run.started)}" if run.started else f"queued {ago(run.created)}"
    st.markdown(f"{state_badge(run)} {when}", width="content")
    if has_results(run):
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            for page, called in (("forecast", "Forecast"), ("metrics", "Metrics"), ("attention", what_is_inside(run))):
                if called:
                    st.page_link(f"{page}.py", label=f"**{called}**", query_params={"run": run.id})
            reporting.offer("runs", [run])
    with st.container(horizontal=True, width="content"):
        run_actions.buttons(run)
        run_actions.more(run)

said.show(run)
run_actions.mended_settings(run)
queue.place(run)

if run.tags or run.note:
    st.markdown(" ".join(f":gray-badge[{plain(tag)}]" for tag in run.tags))
    st.caption(plain(run.note))

names = ["Progress", "Pinned windows", "Settings", "History"]
if not can_be_pinned(run):
    names.remove("Pinned windows")
tabs = dict(zip(names, st.tabs(names, **keys.in_address("tab", names)), strict=True))
with tabs["Progress"]:
    watch(run.id)
if "Pinned windows" in tabs:
    with tabs["Pinned windows"]:
        scrub(run)
with tabs["Settings"], explained("The settings of this run cannot be read"):
    st.caption(f"Settings that differ from the defaults come first. On the command line this run is `{run.id}`.")
    if changed := differences(run.config):
        st.dataframe(changed, hide_index=True)
    else:
        st.markdown("Every setting is at its default.")
    with st.expander("All settings"):
        rows = [{"Setting": label(name), "Value": shown(name, v)} for name, v in run.config.settings().items()]
        st.dataframe(rows, hide_index=True)
        st.download_button(
            "Download as JSON", as_file(run.config), f"{run.id}.json", "application/json", on_click="ignore"
        )
with tabs["History"], explained("The history of this run cannot be read"):
    st.dataframe(history_rows(store().events(run.id)), hide_index=True, placeholder="")
    if files := store().artefacts(run.id):
        st.dataframe(file_rows(files), hide_index=True)
        st.caption(f"Files in the folder `checkpoints/{run.id}` of the workspace.")
