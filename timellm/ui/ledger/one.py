"""One kept forecast: what came of it, by channel, where it is from, and the way to a new fit."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import streamlit as st

from timellm.errors import RunNotFoundError, TimeLLMError
from timellm.jobs.local.launcher import start_run
from timellm.ledger.folder import Ledger
from timellm.ledger.scoring import EntryScore
from timellm.ledger.words import actuals_words, adjustment_sentence, channels_sentence, promise_sentence, revised_words
from timellm.ui import keys
from timellm.ui.errors import show_error, without_server_paths
from timellm.ui.loaders import store
from timellm.ui.words import moment, number, plain, without_minus_zero

_FAILURE, _STARTED = keys.view("ledger", "not-refitted"), keys.view("ledger", "refitted")
_MOST_REVISED = 200
_COLUMNS = {
    "mae": st.column_config.NumberColumn("MAE", format="%.4g"),
    "promised": st.column_config.NumberColumn(
        "Promised", format="%.4g", help="Mean absolute error of the run's test windows at the same steps."
    ),
    "limit": st.column_config.NumberColumn("Limit", format="%.4g", help="95 in 100 test windows stay below it."),
    "skill": st.column_config.NumberColumn("Skill", format="percent", help="Against the seasonal naive."),
    "mase": st.column_config.NumberColumn("MASE", format="%.3f", help="Scaled as in the run's own scores."),
}


def head(found: EntryScore) -> None:
    """Name, moments, the sentences, and the button that fits the run again where they suggest it."""
    entry = found.entry
    st.header(plain(entry.run.name), anchor=False)
    st.caption(
        f"Kept {entry.made:%Y-%m-%d %H:%M} UTC by {plain(entry.by)}. The model saw values until {moment(entry.cutoff)}"
        f" and forecast {entry.horizon:,} rows, until {moment(entry.end)}."
        + (f" Note: {plain(entry.note)}" if entry.note else "")
    )
    sentence = plain(promise_sentence(found))
    if found.below_promise:
        st.warning(f"**Below what the backtest promised.** {sentence}", icon=":material/trending_down:")
        _refit(found)
    else:
        st.markdown(sentence)
    for line in (channels_sentence(found), adjustment_sentence(found)):
        if line:
            st.markdown(plain(line))
    _revised(found)


def numbers(found: EntryScore) -> None:
    """Error, skill and coverage as large numbers, then a row for each channel."""
    overall = found.overall
    if not overall.known:
        return
    with st.container(horizontal=True):
        st.metric("MAE", number(overall.mae), width="content", help="On the values that are known.")
        st.metric("Promised", number(overall.judged.promised), width="content", help="MAE of the run's test windows.")
        if overall.skill == overall.skill:
            naive = f"MAE of the seasonal naive with {found.entry.season_name}: {number(overall.naive_mae)}"
            skill = without_minus_zero(overall.skill, decimals=2)
            st.metric("Skill against the seasonal naive", f"{skill:+.0%}", width="content", help=naive)
        for level, share in overall.coverage.items():
            st.metric(f"Within the {level:g} % band", f"{share:.0%}", width="content")
    if len(found.channels) > 1:
        st.dataframe(
            channel_frame(found), hide_index=True, column_config=_COLUMNS, placeholder="", alt="Scores by channel"
        )


def channel_frame(found: EntryScore) -> pd.DataFrame:
    """A row for each channel."""
    rows = [
        {
            "Channel": one.channel, "Known": f"{one.known:,} of {one.of:,}", "mae": one.mae,
            "promised": one.judged.promised, "limit": one.judged.limit, "skill": one.skill, "mase": one.mase,
            **{f"In {level:g} %": "" if math.isnan(share) else f"{share:.0%}" for level, share in one.coverage.items()},
            "Judgement": _judgement(one.judged.above, one.judged.reason),
        }
        for one in found.channels
    ]  # fmt: skip
    return pd.DataFrame(rows)


def origin(ledger: Ledger, found: EntryScore) -> None:
    """Which run, which settings and weights, which table, and which tables brought actual values."""
    entry = found.entry
    with st.expander("Where it is from", icon=":material/fingerprint:"):
        try:
            store().get(entry.run.id)
            st.page_link("runs.py", label=f"Run {plain(entry.run.name)}", query_params={"run": entry.run.id})
        except RunNotFoundError:
            st.markdown(f"The run `{entry.run.id}` is not in this workspace (any more). The ledger has what it needs.")
        rows = {
            "Model": entry.run.model,
            "Settings, SHA-256": entry.run.settings_sha256,
            **{f"{name}, SHA-256": digest for name, digest in entry.run.weights_sha256.items()},
            "Table": Path(entry.source).name,
            "Values of the table, SHA-256": entry.table_sha256,
            "Season of the naive": entry.season_name,
            **{f"Version of {name}": version for name, version in entry.kept_with.items()},
            **{f"Actual values, {one.at:%Y-%m-%d %H:%M}": f"{one.source.name}, by {one.by}" for one in found.arrivals},
        }
        table = pd.DataFrame(
            {"What": list(rows), "Value": [without_server_paths(str(value)) for value in rows.values()]}
        )
        st.dataframe(table, hide_index=True, alt="Where the forecast is from")
        st.download_button(
            "Download its settings", entry.run.settings, f"settings-{entry.id}.json", "application/json",
            on_click="ignore",
        )  # fmt: skip


def _judgement(above: bool | None, reason: str) -> str:
    if above is None:
        return reason
    return "above the limit" if above else "within the usual"


def _refit(found: EntryScore) -> None:
    if failure := st.session_state.pop(_FAILURE, None):
        show_error("The run was not started", failure)
    if started := st.session_state.pop(_STARTED, None):
        st.page_link(
            "runs.py", label="The new run has started: watch it", icon=":material/arrow_forward:",
            query_params={"run": started},
        )  # fmt: skip
    file = found.newest_file
    if file and Path(file).is_file():
        st.button(
            "Fit it again on the newer table", type="primary", icon=":material/restart_alt:", on_click=_start,
            args=(found,), help="A new run with the same settings on the table that brought the newest actual values.",
        )  # fmt: skip
    else:
        st.caption("Bring the newer table above, and it can be fitted again from here.")


def _start(found: EntryScore) -> None:
    try:
        config = found.entry.run.config().updated(path=found.newest_file)
        run = start_run(config, name=f"Again: {found.entry.run.name}", store=store())
    except TimeLLMError as error:
        st.session_state[_FAILURE] = str(error)
        return
    st.session_state[_STARTED] = run.id


def _revised(found: EntryScore) -> None:
    if found.revised_actuals:
        st.markdown(f":material/info: {actuals_words(found.revised_actuals)}.")
    if not found.revised:
        return
    with st.expander(revised_words(len(found.revised)).capitalize(), icon=":material/history:"):
        st.caption("The score does not use them: forecast and seasonal naive were made from what was seen.")
        rows = [
            {"Channel": one.channel, "Time": one.moment, "Seen": one.seen, "Now": one.now}
            for one in found.revised[:_MOST_REVISED]
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Revised values")
