"""How much each sentence of the prompt moves the forecast: a table, a chart, and the answer in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from timellm.plots.prompt import EffectsPicture, effects_chart
from timellm.plots.prompt_print import effects_figure
from timellm.ui import charts, keys
from timellm.ui.errors import explained
from timellm.ui.seeing import downloads
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.seeing.prompt_change import loaded
from timellm.ui.seeing.working import Report, on_button
from timellm.ui.words import plain

if TYPE_CHECKING:
    import pandas as pd

    from timellm.explain.sentences import SentenceEffects

_COUNTS = (64, 128, 256)
_KINDS = {"sentence": "", "group": "together", "control": "control"}


def show(chosen: Chosen) -> None:
    """Draw the choice, the button, and what came of it."""
    st.caption(
        "Each sentence is left out in turn, in windows spread evenly over the test period and all channels. A long "
        "bar: without this part the forecasts become others. Grey bars are controls: the statistics of another "
        "window instead of the own ones, the same words in another order, and nothing changed but the rounding. "
        "Without any prompt the language model also loses the tokens on which it rests unused attention (sinks, see "
        "below), so that bar says less of the words."
    )
    count = st.segmented_control(
        "Windows", _COUNTS, default=_COUNTS[0], required=True, key=keys.view("prompt", "windows")
    )
    run = chosen.results.run
    with explained("The sentences cannot be left out"):
        found: SentenceEffects | None = on_button(
            "Leave out each sentence in turn",
            keys.view("prompt", "effects"),
            lambda report: _work(chosen, count or _COUNTS[0], report),
            result=("effects", str(run.run_dir), str(run.ended), count),
            icon=":material/play_arrow:",
        )
    if found is not None:
        _result(chosen, found)


def _work(chosen: Chosen, count: int, report: Report) -> SentenceEffects:
    from timellm.explain.sentences import sentence_effects

    run = loaded(chosen)
    return sentence_effects(run, run.prepared.windows("test").evenly(count), on_part=report)


def _result(chosen: Chosen, found: SentenceEffects) -> None:
    st.markdown(f"**{plain(found.sentence())}**")
    frame = found.frame()
    picture = EffectsPicture(
        tuple(frame["part"]), frame["change"].to_numpy(), frame["change_p10"].to_numpy(),
        frame["change_p90"].to_numpy(), "change, share of the own deviation",
        controls=int((frame["kind"] == "control").sum()),
    )  # fmt: skip
    charts.draw(effects_chart, picture, alt="How much the forecast changes without each part of the prompt")
    st.caption(
        f"Mean over {found.windows:,} windows; lines reach from the 10 % to the 90 % quantile of the windows. The "
        "change of the error is a share of the mean absolute error with the whole prompt; above 0, the forecast is "
        "worse without the part."
    )
    st.dataframe(shown_frame(frame), hide_index=True, height="content", column_config=_columns())
    downloads.offer(
        f"prompt-sentences-{chosen.results.run.id}",
        lambda: effects_figure(picture, title=f"Prompt left out in parts, {found.windows} windows"),
        lambda: frame.set_index("part"),
    )


def shown_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as the page shows it: names, kinds in words, changes, spreads."""
    return frame.assign(kind=frame["kind"].map(_KINDS))


def _columns() -> dict[str, Any]:
    percent = {"change": "Forecast changes", "change_p10": "10 %", "change_p90": "90 %", "error": "Error changes",
               "error_p10": "10 % ", "error_p90": "90 % "}  # fmt: skip
    texts = {"part": ("Part", 250), "kind": ("Kind", 90), "text": ("As it stands in a window", 320)}
    return {
        **{name: st.column_config.TextColumn(label, width=width) for name, (label, width) in texts.items()},
        **{name: st.column_config.NumberColumn(label, format="percent") for name, label in percent.items()},
        "windows": st.column_config.NumberColumn("Windows"),
    }
