"""Every prototype of a run in a table that can be searched: its words, how much it is attended, where it moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from timellm.plots.dictionary_print import DictionaryPicture, dictionary_figure
from timellm.plots.patch_shapes import ShapesPicture, shapes_chart
from timellm.plots.series import shorten
from timellm.ui import charts, keys
from timellm.ui.seeing import downloads
from timellm.ui.seeing.chosen import Chosen
from timellm.ui.words import moment, plain

if TYPE_CHECKING:
    from timellm.explain.dictionary import PrototypeDictionary

_MOST_PIXELS, _DRAWN = 420, 20
_COLUMNS = {
    "prototype": st.column_config.NumberColumn("Number", width="small", format="%d"),
    "words": st.column_config.TextColumn("Words", width="large", help="Nearest vocabulary words, nearest first."),
    "what": st.column_config.TextColumn("What it is", width="medium"),
    "cosine": st.column_config.NumberColumn("Cosine", format="%.2f", help="With the first word; 1 is the word itself."),
    "lead": st.column_config.NumberColumn(
        "Lead", format="%.2f", help="How much nearer the first word is than the next."
    ),
    "attended": st.column_config.NumberColumn(
        "Attended, %", format="%.2f", help="Mean attention over the test period."
    ),
    "times_even": st.column_config.NumberColumn("Times even", format="%.2f", help="1: as much as an even share."),
    "started_at": st.column_config.TextColumn("Started at", help="The word at which it was before training."),
    "turned_degrees": st.column_config.NumberColumn("Turned, °", format="%.1f", help="Angle between start and end."),
    "largest_weights": st.column_config.TextColumn(
        "Largest weights", help="Words with the largest weights of the map."
    ),
}


def show(chosen: Chosen) -> None:
    """Draw the view."""
    found = chosen.results.dictionary()
    st.caption(
        "One row is one prototype, over the whole test period and all channels; the window chosen above does not "
        "matter here. The nearer the cosine is to 1, the more of a prototype its first word tells."
    )
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in found.sentences()))
    text = st.text_input(
        "Find a word or a number", type="search", live=True, icon=":material/search:", placeholder="rise", width=320,
        max_chars=60, **keys.in_address("word"),
    )  # fmt: skip
    rows = found.matching(text)
    if rows.empty:
        st.info(
            f"No prototype has “{plain(text.strip())}” among its words or as its number.", icon=":material/search_off:"
        )
        return
    number = _chosen_row(chosen, rows, text)
    _one(found, number)
    top = rows.head(_DRAWN)
    downloads.offer(
        f"dictionary-{chosen.results.run.id}",
        lambda: dictionary_figure(_picture(found, top), title=f"Most attended prototypes of {chosen.results.run.name}"),
        lambda: rows,
    )


def _chosen_row(chosen: Chosen, rows: pd.DataFrame, text: str) -> int:
    """The number of the prototype whose row is selected; the most attended one if none is."""
    shown = rows.assign(attended=100 * rows["attended"]).reset_index()
    known = [name for name in _COLUMNS if not (shown[name].isna() | (shown[name] == "")).all()]
    selected = st.dataframe(
        shown[known],
        column_config={name: _COLUMNS[name] for name in known},
        hide_index=True,
        height=min(38 + 35 * len(shown), _MOST_PIXELS),
        # A selection is kept as positions: a list of other rows is another table.
        key=keys.view("attention", f"dictionary/{chosen.results.run.id}/{text}"),
        on_select="rerun",
        selection_mode="single-row",
        alt="Prototypes",
    )
    places = selected["selection"]["rows"]
    return int(shown["prototype"].iloc[places[0] if places else 0])


def _one(found: PrototypeDictionary, number: int) -> None:
    """One prototype: its words, its numbers, and the patches that attend to it most."""
    row, shapes = found.frame.loc[number], found.shapes[number - 1]
    st.subheader(f"Prototype {number}: {plain(row['words'])}", anchor=False)
    st.markdown(" ".join(_told(row)))
    even = 1 / len(found.frame)
    st.caption(
        f"Patches of the test period that attend to it most, with the share of attention that they give it (an even "
        f"share is {even:.2%}). Each shows its rows in deviations from the mean of its window. Select another row of "
        "the table to see another prototype."
    )
    titles = tuple((shorten(shape.channel, 16), moment(shape.start), f"{shape.attention:.2%}") for shape in shapes)
    picture = ShapesPicture(tuple(shape.values for shape in shapes), titles)
    charts.draw(shapes_chart, picture, alt=f"Patches that attend most to prototype {number}")


def _told(row: pd.Series) -> list[str]:
    told = []
    if row["what"]:
        told.append(_NOT_A_WORD.get(row["what"], f"It {plain(row['what'])}."))
    told.append(f"It gets {row['times_even']:.2f} times an even share of the attention.")
    if row["started_at"]:
        told.append(f"It started at “{plain(row['started_at'])}”.")
    if row["turned_degrees"] == row["turned_degrees"]:
        told.append(f"Training turned it by {row['turned_degrees']:.1f} degrees (cosine {row['start_cosine']:.6f}).")
    if row["largest_weights"]:
        told.append(f"The map's largest weights for it: {plain(row['largest_weights'])}.")
    return told


_NOT_A_WORD = {
    "near words": "It is no word itself, but lies near some.",
    "near a stop word": "It is no word itself; the nearest one is a stop word, which is not listed.",
    "near a word not shown": "It is no word itself; the nearest one is not shown.",
    "dense mixture": "It is a dense mixture: no word is nearer to it than to a random mixture of all words.",
}


def _picture(found: PrototypeDictionary, rows: pd.DataFrame) -> DictionaryPicture:
    return DictionaryPicture(
        labels=tuple(f"{number}: {words}" for number, words in rows["words"].items()),
        times_even=tuple(rows["times_even"]),
        shapes=tuple(tuple(shape.values for shape in found.shapes[int(number) - 1]) for number in rows.index),
    )
