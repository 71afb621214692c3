"""Watching one run live. It reads the store and nothing else, and ticks only while the run is active."""

from __future__ import annotations

import psutil
import streamlit as st

from timellm.errors import CheckpointError, ConfigError, RunNotFoundError
from timellm.jobs.cluster.runs import log_of
from timellm.jobs.local.launcher import supervise
from timellm.jobs.store.event import Artefact, Event
from timellm.jobs.store.promise import lateness
from timellm.jobs.store.run import Run
from timellm.plots.curves import loss_rows, loss_spec
from timellm.training.progress import MAY_END_EARLY
from timellm.ui.errors import explained, show_error
from timellm.ui.loaders import store
from timellm.ui.place import word_of_cluster
from timellm.ui.run_results import baseline_to_beat
from timellm.ui.words import about, duration, memory, number, overall_share, phase_line

_TICK_S = 2.0  # every redraw takes from the two cores that train
_MOST_POINTS = 1500  # of a curve; a chart has no more pixels
_LOG_LINES = 1000


def history_rows(events: tuple[Event, ...]) -> list[dict[str, str]]:
    """What happened to a run as table rows, oldest first; times in UTC."""
    return [
        {"When (UTC)": f"{event.at:%Y-%m-%d %H:%M:%S}", "What": event.kind.capitalize(), "Detail": event.detail}
        for event in events
    ]


def file_rows(files: tuple[Artefact, ...]) -> list[dict[str, str]]:
    """The files a run has left as table rows."""
    return [{"File": file.path, "Size": f"{file.size_bytes / 1000:,.1f} kB"} for file in files]


def watch(run_id: str) -> None:
    """One run's phase, bar, losses and load; ticks while active, and redraws the whole page when the state changes."""
    before = store().get(run_id)

    @st.fragment(run_every=_TICK_S if before.active else None)
    def live() -> None:
        with explained("This run cannot be shown"):
            supervise(store())
            try:
                run = store().get(run_id)
            except RunNotFoundError:  # deleted in another tab: the whole page says so
                st.rerun()
        if run.state != before.state:
            st.rerun()  # a new state changes words, links, actions and results all over the page
        word_of_cluster(run)
        _header(run)
        _compared_with_the_promise(run)
        _numbers(run)
        _curves(run)
        _log(run)

    live()


def _curves(run: Run) -> None:
    curve = store().curve(run.id, most=_MOST_POINTS)
    if curve.empty:
        if run.active:
            own = " on the run's own table" if run.pretrains else ""
            st.caption(f"The loss curves appear with the first training steps{own}.")
        return
    baseline = None
    try:
        baseline = baseline_to_beat(run)
    except CheckpointError as error:  # the curves do not depend on it
        show_error("There is no baseline beside these curves", str(error))
    training = run.config.training
    planned = training.steps if training and run.active and training.minutes is None else None
    st.vega_lite_chart(
        loss_rows(curve, baseline),
        loss_spec(planned, baseline[0] if baseline else None),
        key=f"curves/{run.id}",
        alt="Training and validation loss by step",
    )


def _log(run: Run) -> None:
    with st.expander("Log", icon=":material/terminal:", expanded=run.state == "failed"):
        written = log_of(run, lines=_LOG_LINES)
        follow = st.toggle(
            "Follow the end", value=True, key=f"log-end/{run.id}", help="Off: the view stays where it is."
        )
        with st.container(height=280, autoscroll=follow):
            st.code(written or "Nothing has been written yet.", language=None)
        st.download_button(
            "Download the whole log", lambda: run.log_file.read_bytes(), f"{run.id}-log.txt", "text/plain",
            icon=":material/download:", on_click="ignore", disabled=not written, key=f"log/{run.id}",
        )  # fmt: skip


def _compared_with_the_promise(run: Run) -> None:
    """Where a run takes clearly longer than was told before it started: by how much, and what is known of why."""
    late = lateness(run)
    if late is None:
        return
    if not run.active:
        now = f"it took {duration(late.now_s)}"
    elif run.eta_s is None:
        now = f"it has worked for {duration(late.now_s)}"
    else:
        now = f"it is now about {about(late.now_s)} in all"
    words = [f"About {about(late.told_s)} was estimated before the start; {now}."]
    if run.active and late.times_slower is not None:
        name = "Training" if run.phase == "training" else "Scoring"
        words.append(f"{name} is {number(late.times_slower, 2)} times slower than estimated.")
    load, cores = psutil.getloadavg()[0], psutil.cpu_count() or 1
    if run.state == "running" and run.machine == store().database.machine and load > cores + 1:
        words.append(f"This machine has more work than processors: {load:.1f} tasks on {cores}.")
    st.caption(" ".join(words))


def _header(run: Run) -> None:
    if run.active:
        line = "Stopping after this step; the best checkpoint is kept" if run.stop_requested else phase_line(run)
        most = "at most " if run.phase in MAY_END_EARLY else ""
        left = f" · {most}{duration(run.eta_s)} left" if run.eta_s is not None else ""
        st.progress(overall_share(run), text=f"{line}{left}")
    elif run.state == "failed":
        show_error("This run failed", run.error or "The cause was not recorded; the log may say more.")
    elif run.state == "stopped" and not run.summary:
        st.info("This run was stopped before its first checkpoint, so it has no results.", icon=":material/info:")


def _trains(run: Run) -> bool:
    """Whether the run's forecaster is trained step by step; one whose settings cannot be read may be."""
    try:
        return run.config.training is not None
    except ConfigError:
        return True


def _numbers(run: Run) -> None:
    with st.grid("auto", min_column_width=150):
        st.metric("Working time", duration(run.seconds) if run.seconds is not None else "–")
        if _trains(run):
            st.metric(
                "Train loss", number(run.train_loss, 3), help="On z-scored values, averaged since the last report."
            )
            st.metric(
                "Validation MSE",
                number(run.validation_loss, 3),
                help="On z-scored values, last time it was measured. Of what a step adds to a linear path, that share"
                " counts which suits the validation windows best.",
            )
        st.metric(
            "Best validation", number(run.best_validation_loss, 3),
            help="MSE on z-scored validation windows, of what is kept.",
        )  # fmt: skip
        st.metric(
            "Windows a second", number(run.windows_per_s, 3), help="Windows trained on, or evaluated, in a second."
        )
        st.metric("Memory", memory(run.memory_mib), help="Peak of the process, or what is allocated on the GPU.")
