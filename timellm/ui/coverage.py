"""The coverage card on the Metrics page: how sure the forecasts are, and whether that was kept."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from timellm.evaluation.coverage import CARD_LEVELS, OWN, ROUND, SPLIT, CoverageCard
from timellm.evaluation.intervals import DEFAULT_LEVELS, NO_INTERVALS
from timellm.plots.coverage import MOST_CHANNELS, coverage_by_channel, coverage_by_step
from timellm.ui import charts
from timellm.ui.run_results import Results
from timellm.ui.words import plain

_COLUMNS = {
    "promised": st.column_config.NumberColumn("Promised", format="percent"),
    "achieved": st.column_config.NumberColumn(
        "Achieved", format="percent", help="Share of the values of the test period inside the band."
    ),
    "plain": st.column_config.NumberColumn(
        "Without adapting", format="percent",
        help="The same for bands that rest on the validation windows alone: split conformal. Those that are shown adapt"
        " to the errors of the test period, as they become known.",
    ),
    "width": st.column_config.NumberColumn(
        "Width", format="%.3g", help="Mean width, as a share of each channel's deviation in the training rows."
    ),
    "winkler": st.column_config.NumberColumn(
        "Winkler score", format="%.3g", help="Width plus a penalty for what lies outside; lower is better."
    ),
    "own": st.column_config.NumberColumn(
        "Quantiles as they are", format="percent",
        help="Share inside the bands that the model's own quantiles make before they are conformalised.",
    ),
    "round": st.column_config.NumberColumn(
        "Winkler score round the forecast", format="%.3g",
        help="That of conformal bands round the forecast, without the model's quantiles and without adapting.",
    ),
    "rival": st.column_config.TextColumn("Best other bands"),
    "rival_width": st.column_config.NumberColumn("Their width", format="%.3g"),
    "rival_winkler": st.column_config.NumberColumn("Their Winkler score", format="%.3g"),
}  # fmt: skip


def show(results: Results) -> None:
    """The card, or why there is none."""
    card = results.coverage()
    st.header("How sure, and was it kept?", anchor=False)
    if card is None:
        st.caption(f":material/info: {plain(NO_INTERVALS)}")
        return
    st.markdown(plain(card.made_of(DEFAULT_LEVELS[0])))
    for level in DEFAULT_LEVELS:
        st.markdown(plain(card.sentence(level)))
    st.dataframe(_board(card), hide_index=True, column_config=_COLUMNS, alt="Promised and achieved coverage")
    measured = card.measured
    st.caption(
        f"Bands rest on at most {measured.calibrated_on:,} validation windows for each channel, which overlap and on "
        f"which the model was chosen, too. They were held against at most {measured.cutoffs:,} test windows of each."
        f"{_losses(card)}"
    )
    left, right = st.columns(2)
    with left:
        steps = {level: card.at(level, by="step") for level in DEFAULT_LEVELS}
        charts.draw(coverage_by_step, steps, alt="Achieved coverage by horizon step")
    with right:
        level = DEFAULT_LEVELS[0]
        channels = card.at(level, by="channel")
        charts.draw(coverage_by_channel, channels, level, alt="Achieved coverage by channel")
        if len(channels) > MOST_CHANNELS:
            st.caption(f"The {MOST_CHANNELS} channels of {len(channels):,} that are farthest from the promise.")


def _losses(card: CoverageCard) -> str:
    """The quantile losses of the bands' ends; empty in a card of an earlier version."""
    loss, crps = card.quantile_loss(), card.scaled_crps()
    if math.isnan(loss) or math.isnan(crps):
        return ""
    named = ", ".join(map(str, card.scored_levels))
    return (
        f" Over the ends of the {named} % bands, the weighted quantile loss is {loss:.3g}, and the scaled CRPS"
        f" {crps:.3g}; lower is better."
    )


def _board(card: CoverageCard) -> pd.DataFrame:
    rows = []
    for level in CARD_LEVELS:
        own = card.at(level).iloc[0]
        name, width, winkler = card.rival(level) or ("", float("nan"), float("nan"))
        rows.append(
            {
                "promised": level / 100, "achieved": own["coverage"], "plain": card.achieved(level, SPLIT),
                "width": own["width"], "winkler": own["winkler"], "rival": name, "rival_width": width,
                "rival_winkler": winkler,
            }
        )  # fmt: skip
        if card.measured.quantiles:
            plain_winkler = card.at(level, method=ROUND)["winkler"].iloc[0]
            rows[-1] |= {"own": card.achieved(level, OWN), "round": plain_winkler}
    return pd.DataFrame(rows)
