"""The verb that names the prototypes of a finished run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns
from timellm.cli.explaining import check_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def dictionary(arguments: argparse.Namespace) -> Answer:
    """Say which words the prototypes are, how much they are attended, and where training moved them.

    Raises:
        TimeLLMError: the run folder or the output file cannot be used.
    """
    from timellm.explain.dictionary import prototype_dictionary
    from timellm.plots.dictionary_print import DictionaryPicture, dictionary_figure

    if arguments.out is not None:
        check_figure(arguments)
    found = prototype_dictionary(arguments.run_dir)
    rows = found.matching(arguments.search)
    if rows.empty:
        return Answer({"sentences": found.sentences(), "matching": 0, "prototypes": []}, _nothing(arguments.search))
    top = rows.head(arguments.top)

    def figure() -> Figure:
        picture = DictionaryPicture(
            labels=tuple(f"{number}: {words}" for number, words in top["words"].items()),
            times_even=tuple(top["times_even"]),
            shapes=tuple(tuple(shape.values for shape in found.shapes[number - 1]) for number in top.index),
        )
        return dictionary_figure(picture, title=f"Most attended prototypes of {arguments.run_dir.resolve().name}")

    if arguments.out is not None:
        write_figure(arguments.out, figure, rows.reset_index)
    data = {
        "out": arguments.out and arguments.out.resolve(),
        "sentences": found.sentences(),
        "adds_nothing": found.adds_nothing,
        "random_cosine": found.random_cosine,
        "effectively_attended": found.attended.effective,
        "windows": found.attended.windows,
        "test_windows": found.attended.of_windows,
        "matching": len(rows),
        "prototypes": top.reset_index().to_dict("records"),
    }
    header = ("prototype", "what", "words", "cosine", "times_even", "started_at", "turned_degrees")
    shown = columns([name.replace("_", " ") for name in header], top.reset_index()[list(header)].to_numpy().tolist())
    written = f"{arguments.out}: {len(rows):,} prototypes\n\n" if arguments.out else ""
    return Answer(data, f"{written}{chr(10).join(found.sentences())}\n\n{shown}")


def _nothing(text: str) -> str:
    return f"No prototype has '{text}' among its words; nothing was written."
