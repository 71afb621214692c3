"""What a run's training began with, on the run's page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from timellm.errors import ConfigError, JobError
from timellm.jobs.store.run import Run
from timellm.ui import keys, loaders
from timellm.ui.beginning.chosen import title_of
from timellm.ui.words import plain


def show(run: Run) -> None:
    """On a run's page: what its training began with; nothing for new weights."""
    try:
        training = run.config.training
    except ConfigError:  # the page says so
        return
    if training is None or not (training.pretrain or training.start_from):
        return
    if training.pretrain:
        st.caption(f":material/start: {_pretrained_on(run)}")
        return
    folder = Path(training.start_from)
    try:
        began = loaders.store().get(folder.name)
    except JobError:
        began = None
    if began is None or began.run_dir.resolve() != folder.resolve():
        st.caption(f":material/start: Training begins at the adapters in {plain(folder.name)}.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(":material/start: Training begins at the adapters of", width="content")
        st.button(plain(began.name), type="tertiary", on_click=keys.choose, args=("run", began.id))


def _pretrained_on(run: Run) -> str:
    """The tables, and after that training their shares and its steps."""
    told = run.summary.get("pretraining")
    training = run.config.trained
    if not isinstance(told, dict):
        names = ", ".join(map(title_of, training.pretrain))
        return plain(f"Trains first on {names}, for at most {training.pretrain_steps or training.steps:,} steps.")
    each = zip(training.pretrain, told["tables"], strict=True)
    listed = ", ".join(f"{title_of(path)} ({one['share']:.0%} of the windows)" for path, one in each)
    best = f", the best at step {told['best_step']:,}" if "best_step" in told else ""
    return plain(f"Trained first on {listed}: {told['steps']:,} steps{best}.")
