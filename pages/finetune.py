"""Fine-tune: start a run I understand."""

import streamlit as st

from timellm.errors import TimeLLMError
from timellm.forecasters.registry import REGISTRY
from timellm.ui import (
    bounds,
    draft,
    fit,
    keys,
    loaders,
    place,
    presets,
    questions,
    receipt,
    refill,
    setup,
    tables,
    usable,
)
from timellm.ui.beginning import checks
from timellm.ui.beginning.form import choose as begin
from timellm.ui.errors import explained
from timellm.ui.words import plain

table_id = keys.chosen("table")
if table_id is not None:
    draft.restore_face(table_id)
title, face = st.columns([5, 3], gap="large", vertical_alignment="bottom")
title.title("Fine-tune")
advanced = (
    face.segmented_control(
        "Settings", keys.FACES, default=keys.FACES[0], required=True, label_visibility="collapsed",
        **keys.in_address("face"),
    )
    != keys.FACES[0]
)  # fmt: skip

if table_id is None:
    with st.container(border=True):
        st.markdown("A run needs a table to learn from. Choose one, and come back here.")
        st.page_link("data.py", label="Choose a table", icon=":material/arrow_forward:")
        st.button("Start fine-tuning", type="primary", disabled=True)
        st.caption("Choose a table first.")
    st.stop()

with explained("The chosen table cannot be used"), questions.asked(table_id):
    data = tables.config(table_id)
    table = loaders.table(data)
    form = tables.form(table_id, data, table)
draft.restore(form, table)
usable.leave_gaps_to_the_repair(form)

steps, summary = st.columns([5, 3], gap="large")
with steps:
    st.header("1 · What", anchor=False)
    st.markdown(
        f"**{plain(tables.title(table_id))}**, {len(table.values):,} rows of {len(table.channels):,} "
        f"{'channel' if len(table.channels) == 1 else 'channels'}"
    )
    chosen = setup.what(form, table, advanced=advanced)
    bounds.offer(form, table)
    st.header("2 · With what", anchor=False)
    chosen |= setup.with_what(form, advanced=advanced)
    if REGISTRY[form.kind].language_model:
        receipt.compare_quantizations(form, chosen)
    st.header("3 · How long", anchor=False)
    chosen |= setup.how_long(form, advanced=advanced)
    chosen |= begin(form, chosen)

with summary, st.container(border=True):
    st.markdown("**This run**")
    config, counts, missing = None, None, []
    try:
        config = form.gathered(**chosen)
        counts = loaders.window_counts(config, table)
        missing = [*setup.missing_for_start(config), *usable.what_is_missing(counts), *checks.missing(form, config)]
    except TimeLLMError as error:
        missing = [str(error)]
    if REGISTRY[form.kind].language_model:
        presets.picker(form, config)
    usual_name = setup.run_name(tables.title(table_id), chosen, config=config, usual=form.usual)
    name = st.text_input(
        "Name", placeholder=usual_name, max_chars=120, key=keys.setting(table_id, "name"), persist_state="session"
    )
    if config is not None:
        setup.what_is_told(config, table_id, table, title=tables.title(table_id))
    waiting = refill.edited_run(table_id)
    if waiting:
        where = place.Place(waiting.on_cluster, waiting.workers)
    else:
        where = place.choose(table_id, several=REGISTRY[form.kind].trains)
        missing += place.what_is_missing(where, config)
    promise = None
    if counts is not None:
        usable.said(form, counts)
    if config is not None and counts is not None and not missing:
        windows = counts.parts["test"].usable
        promise = fit.card(form, config, table, test_windows=windows, here=not where.on_cluster)
    go = "Save the waiting run" if waiting else "Start fine-tuning"
    started = st.button(go, type="primary", width="stretch", disabled=bool(missing), icon=":material/play_arrow:")
    if waiting:
        st.button("Leave it as it is", width="stretch", on_click=refill.leave_as_it_is)
    for reason in missing:
        st.caption(f":material/block: {plain(reason.removesuffix('.'))}.")
    if config is None and not advanced:
        st.button("Show all settings", icon=":material/tune:", on_click=setup.show_all)
    st.caption("The run works in the background; you can close this page.")
    draft.keep(form)
    if started and waiting and config is not None:
        refill.save(waiting, config, name or usual_name, promise)
    elif started and config is not None:
        setup.start(config, name or usual_name, where, promise)
