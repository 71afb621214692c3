"""What was measured of a protocol: the table with the papers' numbers, how to read it, and its files."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from timellm.errors import TimeLLMError
from timellm.installation import PROJECT
from timellm.jobs.local.protocol_runs import Placed, ProtocolRuns
from timellm.protocols.protocol import Measured, Protocol, ResultTable
from timellm.protocols.results import Results
from timellm.ui import keys
from timellm.ui.errors import explained, show_error
from timellm.ui.words import plain

_MEASURED_BEFORE = PROJECT / "benchmarks" / "results"
_ASKED, _ALL = "What is asked above", "Everything measured"
_FILES = {
    "table.csv": ("Table, CSV", "text/csv"),
    "md": ("Table, Markdown", "text/markdown"),
    "csv": ("Every run, CSV", "text/csv"),
    "json": ("Every run, JSON", "application/json"),
}
_FIRST = ("set", "trained on", "scored on", "percent", "horizon", "model", "SMAPE", "MASE", "OWA", "MSE", "MAE",
          "MSE (as published)", "paper", "difference", "seeds")  # fmt: skip
"""Columns that come first, so that a narrow window has them; the others follow in their order."""
_MEANINGS = {
    "set": "The published set.",
    "mode": "M: all channels. S: the target alone. MS: all are learned from, and the target is scored.",
    "percent": "Share of the training rows that may be seen, the first ones.",
    "step": "Where two sets differ in their step between rows: the coarser one for both, or each its own.",
    "series": "Series with an error; the means are over these.",
    "context": "Rows that the model sees before it forecasts.",
    "horizon": "Rows that it forecasts. mean: over all horizons of the set.",
    "model": "Its name as in the field Models, which explains it; further settings of the runs stand behind it.",
    "seeds": "Runs that the row is the mean of. They differ in their seed alone.",
    "MSE": "Mean squared error of z-scored values, over every test window. ±: standard deviation over seeds.",
    "MAE": "Mean absolute error of z-scored values, over every test window. ±: standard deviation over seeds.",
    "windows": "Test windows that are counted, over all channels.",
    "MSE (as published)": "Without the windows that published programs drop; this one is held against papers.",
    "MAE (as published)": "Without the windows that published programs drop.",
    "windows (as published)": "Test windows that published programs count.",
    "SMAPE": "Symmetric mean absolute percentage error, in percent; the mean over series.",
    "MASE": "Mean absolute scaled error: 1 is as good as the seasonal naive was on the training values.",
    "OWA": "Mean of the ratios of SMAPE and MASE to those of Naive2: below 1 is better than Naive2.",
    "paper": "What a paper reports of such a model on the same task.",
    "difference": "Ours less the paper's, and whether that may be noise of the seeds.",
    "MSE, ridge there": "Of a ridge fitted to the set that is scored.",
    "MSE, simple rule there": "Of the best simple rule on the set that is scored.",
    "s": "Seconds of a whole run with its scoring; the mean over seeds.",
    "MiB": "Memory of a run at its peak; the mean over seeds.",
}
_NAMES = {"s": "seconds"}
_LONG = 24
"""Letters; the grid makes a column as wide as its first rows, which may have less."""
_WHOLE = 15
"""Rows that are shown without a scroll bar of their own."""


def measured(protocol: Protocol, runs: ProtocolRuns | None, now: Sequence[Placed]) -> Results | None:
    """Everything that was measured, here or before; None, with the reason, where it cannot be read.

    `runs` is None where the form asks for something that cannot be planned: what was measured is shown all the same.
    """
    try:
        own = [one for place in now if runs for one in _measured(_same(runs, place), runs, place)]
        return Results.read(protocol, _MEASURED_BEFORE).with_cells(own)
    except TimeLLMError as error:
        show_error("The results cannot be shown", str(error))
        return None


def _same(runs: ProtocolRuns, one: Placed) -> str:
    """What two measurements have in common that come to the same."""
    run = one.run and (one.run.id, one.run.run_dir, one.run.state, one.run.ended)
    return repr((runs.protocol.name, one.cell.key, runs.asked.further, run))


@st.cache_data(max_entries=5000, show_spinner="Reading the results ...")
def _measured(same: str, _runs: ProtocolRuns, _one: Placed) -> tuple[Measured, ...]:
    """What a run came to; kept, because some protocols forecast to find it."""
    return _runs.measured((_one,))


def table(results: Results, runs: ProtocolRuns | None) -> None:
    """The table of what was measured with the papers' numbers, and its files; of what is asked, or everything."""
    if not results.cells:
        st.info("Nothing was measured yet. The table appears here when the first run has finished.")
        return
    st.header("Results", anchor=False)
    if runs is not None and _only_asked():
        others, results = len(results.cells), results.among(runs.asked)
        if not results.cells:
            st.info(
                "Nothing of what is asked above was measured yet. The table appears here when the first run has"
                f" finished. What was measured of other tasks or models ({others:,} run{'' if others == 1 else 's'}):"
                f" choose '{_ALL}'."
            )
            return
    with explained("The results cannot be shown"):
        shown = results.table
    notes = runs.plan.notes if runs else ()
    st.caption(
        "A row is one model on one task: the mean of its runs, which differ in their seed alone. Lower is better."
    )
    _grid(shown, title=results.protocol.title)
    with st.expander("How to read this", icon=":material/menu_book:"):
        said = dict.fromkeys((*shown.notes, *notes))
        st.markdown("\n".join(f"- {plain(note)}" for note in said))
    contents = results.contents(notes=notes)
    with st.container(horizontal=True):
        for ending, (label, kind) in _FILES.items():
            name = f"{results.protocol.name}{'-' if ending == 'table.csv' else '.'}{ending}"
            st.download_button(label, contents[ending], name, kind, icon=":material/download:", on_click="ignore")


def _only_asked() -> bool:
    """The choice of rows."""
    chosen = st.segmented_control(
        "Show", [_ASKED, _ALL], default=_ASKED, required=True, label_visibility="collapsed",
        **keys.in_address("results", (_ASKED, _ALL)),
    )  # fmt: skip
    return chosen == _ASKED


def _grid(shown: ResultTable, *, title: str) -> None:
    frame = pd.DataFrame(shown.rows, columns=list(shown.header))
    empty = [name for name in ("paper", "difference") if name in frame and not any(frame[name])]
    frame = frame.drop(columns=empty)
    first = [name for name in _FIRST if name in frame]
    frame = frame[[*first, *(name for name in frame if name not in first)]]
    st.dataframe(
        frame,
        hide_index=True,
        height="content" if len(frame) <= _WHOLE else "auto",
        column_config={
            name: st.column_config.Column(
                _NAMES.get(name), help=_MEANINGS.get(name),
                width="medium" if frame[name].str.len().max() > _LONG else None,
            )
            for name in frame
        },
        alt=f"Results of {title}",
        placeholder="",
    )  # fmt: skip
