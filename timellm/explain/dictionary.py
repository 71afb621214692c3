"""The prototypes of a run: which words they are or lie near, how much they are attended, and where training moved them.

Inputs: a run folder. Outputs: one row a prototype, and the facts about all of them in sentences. The backbone is not
needed: a run keeps what took its vocabulary.

A prototype "is the word" where the angle between the two is below 8 degrees. It is "a dense mixture" where no word,
listed or not, has a higher cosine with it than 99 of 100 random mixtures of all words have with their nearest one; that
number is measured for each backbone (`timellm.forecasters.time_llm.vocabulary.random_cosine`). In between it lies "near
words". Prototypes that did not start at words are compared without their own average, which changes no attention; so is
their start. A word of grammar or an offensive one names nothing; a prototype that is one is said to be one.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from timellm.explain.attended import Attended, Shape, attended, shapes
from timellm.explain.profiles import EVEN
from timellm.explain.reader import AttentionReader
from timellm.forecasters.time_llm.kept_dictionary import SAME_WORD, KeptDictionary
from timellm.forecasters.time_llm.unlisted import NO_NAME, NOT_SHOWN
from timellm.forecasting.artifacts import RunFolder

NOT_KEPT = "not kept by the version that made this run"
NEAR, MIXTURE = "near words", "dense mixture"
_MOST_OF_A_NAME = 0.1
"""Share of all prototypes that one name may stand on before it says too little."""


@dataclass(frozen=True)
class PrototypeDictionary:
    """The prototypes of one run."""

    frame: pd.DataFrame
    """One row a prototype, by number from 1, with the columns that `COLUMNS` describes."""
    attended: Attended
    shapes: tuple[tuple[Shape, ...], ...]
    """For each prototype, patches of the test period that attend to it most, most attentive first."""
    random_cosine: float
    """What random mixtures of all words reach; NaN in a run of an earlier version."""
    adds_nothing: bool
    """The run kept the model from before its first step."""

    def matching(self, text: str) -> pd.DataFrame:
        """The rows one of whose words, now or at the start, contains a text, and that of this number.

        Most attended first; all rows for no text.
        """
        text = text.strip().casefold()
        names = self.frame[["words", "started_at", "largest_weights"]].astype(str)
        found = names.apply(lambda column: column.str.casefold().str.contains(text, regex=False)).any(axis=1)
        found |= self.frame.index.astype(str) == text
        return self.frame[found].sort_values("attended", ascending=False, kind="stable")

    def sentences(self) -> tuple[str, ...]:
        """What there is to say of all prototypes together, plain text."""
        return tuple(filter(None, (self._kinds(), self._attention(), self._names(), self._moved())))

    def _kinds(self) -> str:
        if math.isnan(self.random_cosine):
            return f"How near the prototypes are to their words was {NOT_KEPT}; a new run keeps it."
        what, count = self.frame["what"], len(self.frame)
        mixtures, near = int((what == MIXTURE).sum()), int(what.str.startswith("near ").sum())
        unnamed = near - int((what == NEAR).sum())
        but = f" ({unnamed:,} of them nearest to a stop word or another that is no name)" if unnamed else ""
        return (
            f"Of {count:,} prototypes, {count - mixtures - near:,} are still vocabulary words, {near:,} lie near"
            f" words{but} and {mixtures:,} are dense mixtures: with a cosine of at most {self.random_cosine:.2f} they"
            " are no nearer to any word than random mixtures of all words are."
        )

    def _attention(self) -> str:
        found, count, times = self.attended, len(self.frame), self.frame["times_even"]
        windows = f"all {found.windows:,} windows of the test period"
        if found.windows < found.of_windows:
            windows = f"{found.windows:,} of the {found.of_windows:,} windows of the test period, evenly spaced"
        even = ", which is practically even attention" if found.effective > EVEN * count else ""
        return (
            f"A patch attends to {found.effective:,.0f} of {count:,} prototypes in effect{even} (median over patches"
            f" and heads of {windows}). The most attended prototype gets {times.max():.1f} times an even share, the"
            f" least attended one {times.min():.1f} times."
        )

    def _names(self) -> str:
        names = Counter(words.split(", ")[0].casefold() for words in self.frame["words"] if words != NO_NAME)
        if not names:
            return "No prototype has a name that can be shown."
        name, times = names.most_common(1)[0]
        if times == 1:
            return "No two prototypes have the same name."
        share = times / len(self.frame)
        much = ", so that names hardly tell the prototypes apart" if share > _MOST_OF_A_NAME else ""
        return f"The most frequent name, “{name}”, stands on {times:,} prototypes ({share:.1%}){much}."

    def _moved(self) -> str:
        turned = self.frame["turned_degrees"]
        if turned.isna().all():
            return f"Where the prototypes were before training was {NOT_KEPT}."
        if self.adds_nothing:
            return "The run kept the model from before its first step, so every prototype is where it started."
        return (
            f"Training turned them by {turned.median():.1f} degrees in the median, and by {turned.max():.1f} at most."
        )


def prototype_dictionary(run_dir: str | Path) -> PrototypeDictionary:
    """The dictionary of a finished run.

    Raises:
        CheckpointError: the run folder is incomplete or damaged.
        ConfigError: the run has no attention over prototypes.
        DataError: its table has no test window.
    """
    reader, folder = AttentionReader.open(run_dir), RunFolder(Path(run_dir))
    prepared = folder.prepared()
    found, kept = attended(reader, prepared), folder.dictionary()
    return PrototypeDictionary(
        frame=_frame(reader, kept, found),
        attended=found,
        shapes=shapes(reader, prepared),
        random_cosine=math.nan if kept is None else kept.random_cosine,
        adds_nothing=folder.adds_nothing(),
    )


COLUMNS = {
    "prototype": "number of the prototype, from 1",
    "words": "nearest listed words by cosine, nearest first",
    "what": "is the word ..., near words, dense mixture; is or near a stop word or a word not shown; empty if not kept",
    "cosine": "cosine with the first of the words",
    "lead": "by how much that is above the cosine with the second word",
    "attended": "mean attention over windows, patches and heads of the test period; all of them together are 1",
    "times_even": "attended, times the number of prototypes",
    "started_at": "the word at which the prototype started; empty if at none or not kept",
    "start_cosine": "cosine between the prototype before and after training, as it is compared with words",
    "turned_degrees": "angle of that cosine",
    "largest_weights": "words with the largest weights of the paper's map; empty where there is none",
}
"""The columns of a dictionary's frame, the first of which is its index."""


def _frame(reader: AttentionReader, kept: KeptDictionary | None, found: Attended) -> pd.DataFrame:
    count = len(reader.words)
    start_cosine = np.full(count, np.nan)
    if kept is not None and kept.start_cosines is not None:
        start_cosine = np.array(kept.start_cosines)
    cosines = [] if kept is None else [[*row, math.nan, math.nan][:2] for row in kept.cosines]
    first, second = np.array(cosines).T if cosines else np.full((2, count), np.nan)
    columns = {
        "words": [", ".join(words) for words in reader.words],
        "what": [""] * count if kept is None else [_what(kept, *one) for one in enumerate(reader.words)],
        "cosine": first,
        "lead": first - second,
        "attended": found.share_V,
        "times_even": found.share_V * count,
        "started_at": [""] * count if kept is None or kept.start_words is None else [w or "" for w in kept.start_words],
        "start_cosine": start_cosine,
        # By the sine of half the angle: the arc cosine of a number close to 1 has no digits.
        "turned_degrees": np.degrees(2 * np.arcsin(np.sqrt(np.clip((1 - start_cosine) / 2, 0, 1)))),
        "largest_weights": [""] * count if kept is None or kept.heaviest is None else map(_weights, kept.heaviest),
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(1, count + 1, name="prototype"))


def _what(kept: KeptDictionary, place: int, words: tuple[str, ...]) -> str:
    nearest, unlisted = kept.nearest[place], kept.unlisted[place]
    if nearest <= kept.random_cosine:
        return MIXTURE
    other = "a stop word" if unlisted == "stop word" else NOT_SHOWN
    if nearest < SAME_WORD:
        return NEAR if unlisted is None else f"near {other}"
    return f"is the word '{words[0]}'" if unlisted is None else f"is {other}"


def _weights(heaviest: list[tuple[str, float]]) -> str:
    return ", ".join(f"{word} {weight:+.4f}" for word, weight in heaviest)
