"""Whether attention explains the forecasts: one sentence, and the curves that it rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from timellm.plots.faithful import curves_chart, masking_chart
from timellm.plots.faithful_print import faithfulness_figure
from timellm.ui import charts, keys
from timellm.ui.errors import explained
from timellm.ui.seeing import downloads
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.seeing.working import Report, fitted_run, run_now, working
from timellm.ui.words import plain

if TYPE_CHECKING:
    from timellm.explain.study import Faithfulness, Study

_WINDOWS = (32, 64, 128, 256)
_UNITS = ("prototypes", "patches")
_ICONS = {"yes": ":material/check_circle:", "partly": ":material/contrast:", "no": ":material/cancel:"}


def show(chosen: Chosen) -> None:
    """Draw the view."""
    st.caption(
        "How to read it: if attention explains the forecasts, masking what is attended most (solid) moves them further "
        "than masking as much at random (dashed), and what is attended least (dotted) moves them hardly at all."
    )
    if chosen.results.adds_nothing():
        from timellm.explain.answer import ADDS_NOTHING

        st.info(plain(ADDS_NOTHING.sentence), icon=_ICONS[ADDS_NOTHING.word])
        return
    windows = st.segmented_control(
        "Test windows, evenly spread over all channels", _WINDOWS, default=64, required=True,
        **keys.in_address("windows", _WINDOWS),
    ) or 64  # fmt: skip
    found: Faithfulness | None = working().result(_key(chosen, windows))
    if found is None:
        _ask(chosen, windows)
    else:
        _answer(found, chosen, windows)


def _ask(chosen: Chosen, windows: int) -> None:
    st.markdown(
        f"Loads the language model and forecasts {windows} test windows about 200 times each with something masked. "
        "That takes some minutes on a processor; the result is kept until the server ends. "
        "A click on this page, or leaving it, stops the work."
    )
    _offer_work("Work it out", chosen, windows)


def _offer_work(label: str, chosen: Chosen, windows: int) -> None:
    """A button that works the study out, or what is missing in it of the window that is chosen now."""
    row, place = st.container(horizontal=True), st.container()
    if not row.button(label, icon=":material/play_arrow:", type="primary", key=keys.view("attention", "study")):
        return
    with row:
        st.button("Stop", icon=":material/stop:", key=keys.view("attention", "stop"))
    with place, explained("Whether attention explains the forecasts could not be worked out"):
        run_now(
            lambda report: _work(chosen, windows, report),
            result=_key(chosen, windows),
            text="Masking, and forecasting anew …",
        )
    st.rerun()


def _work(chosen: Chosen, windows: int, report: Report) -> Faithfulness:
    """The study, or the one that is kept with the window that is chosen now."""
    from timellm.explain.faithfulness import faithfulness, one_window
    from timellm.explain.study import OneWindow

    folder, one = chosen.results.run.run_dir, OneWindow(chosen.channel, chosen.cutoff)
    kept: Faithfulness | None = working().result(_key(chosen, windows))

    reading: dict[str, Any] = {"load": lambda: fitted_run(chosen.results), "on_part": report}
    if kept is None or kept.study is None:
        return faithfulness(folder, windows=windows, one=one, **reading)
    alone = one_window(folder, one, deviation=kept.study.deviation, **reading)
    return replace(kept, one=alone)


def _key(chosen: Chosen, windows: int) -> tuple[str, str, str, int]:
    run = chosen.results.run
    return "faithful", str(run.run_dir), str(run.ended), windows


def _answer(found: Faithfulness, chosen: Chosen, windows: int) -> None:
    st.info(plain(found.answer.sentence), icon=_ICONS[found.answer.word])
    if (study := found.study) is None:
        return
    one = found.one
    if one is not None and (one.window.channel, one.window.cutoff) == (chosen.channel, chosen.cutoff):
        st.markdown(plain(one.sentence()))
    elif one is not None:
        st.caption("The window chosen above was not measured.")
        _offer_work("Measure this window", chosen, windows)
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in (*study.sentences(), *found.notes)))
    _charts(study)
    downloads.offer(
        f"faithfulness-{chosen.results.run.id}",
        lambda: faithfulness_figure(study.frames(), areas=study.areas(), title=found.title(chosen.results.run.name)),
        lambda: study.frame().set_index(["unit", "order", "removed"]),
    )


def _charts(study: Study) -> None:
    unit = st.segmented_control("Masked", _UNITS, default=_UNITS[0], required=True, format_func=str.capitalize,
                                **keys.in_address("masked", _UNITS)) or _UNITS[0]  # fmt: skip
    frame = study.frames()[unit]
    st.markdown("**Masking**")
    charts.draw(masking_chart, frame, unit=unit, alt=f"Movement and error of forecasts by the share of {unit} masked")
    st.caption(
        "Shares of the forecasts' own deviation, and of their mean absolute error. Bands: 95 % interval over blocks of "
        "windows that share no actual values; for random orders, from the lowest to the highest of the draws "
        "(19 at 10 %, 5 elsewhere)."
    )
    st.markdown("**Deletion and insertion**")
    charts.draw(
        curves_chart, frame, unit=unit, areas=study.areas()[unit], alt=f"Deletion and insertion curves of {unit}"
    )
    st.caption(
        "Deletion removes units one after the other; insertion keeps the first ones and removes all others. A large "
        "area under the deletion curve: the first ones removed matter most."
    )
    with st.expander("How it is measured, and the rule for the answer"):
        st.markdown(_RULE)


_RULE = """
- **Masking a prototype** takes its score out before the softmax; the others share its weight. Prototypes are ranked in
  each window by their mean attention over heads and patches, as the heatmap shows it.
- **Masking a patch** puts the window's mean patch in its place, so that level and scale stay. Attention does not weigh
  patches against each other; they are ranked by how far their attention lies from the average of their window.
- **A random order** gives all prototypes or patches other names, the same in all windows.
- The prompt is never masked: it says the window's least, greatest and median value, its trend and lags.
- **No**: the language model adds nothing; or the same weight for every prototype moves the forecasts by less than 5 %
  of their own deviation; or the 10 % most attended prototypes do not surely move them further than as many random ones
  (further than each of 19 random draws, and the 95 % interval of the ratio above 1).
- **Yes**: moreover the same weight for every prototype moves them by at least 20 %, the most attended prototypes move
  them at least twice as far as random ones, the 10 % least attended ones surely less far than random ones, and the
  patches whose attention stands out surely further than random ones.
- **Partly**: otherwise. The bounds are a convention.
"""
