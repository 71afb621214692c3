"""How much each sentence of the prompt moves the forecast: it is left out in turn, over windows of the test part.

Inputs: a loaded run. Outputs: for each sentence the change of the forecast and of its error, with their spread over the
windows; and one sentence with the answer.

Three controls stand beside the sentences. The same prompts in batches of another size show what rounding alone changes:
nothing below it means anything. The statistics of another window show whether their content matters, or only that some
statistics stand there. The same words in another order show whether the prompt is read as sentences.

Shapes: W windows, H horizon.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from timellm.data.windows import WindowIndex
from timellm.explain.prompted import PromptedRun
from timellm.forecasters.time_llm.wording import PromptFacts
from timellm.training.evaluation_batch import EVALUATION_BATCH

HARDLY = 0.05
"""Below this share of its own deviation, a change of the forecast is called small."""
MOST_SENTENCES = 8
"""Sentences of a description that are left out one by one; the last of them takes what follows along."""
_STATISTICS = ("minimum", "maximum", "median", "trend", "lags")
_TITLES = {"task": "Task", "minimum": "Minimum", "maximum": "Maximum", "median": "Median", "trend": "Trend",
           "lags": "Lags"}  # fmt: skip
_TIMES = ("Calendar", "Past events", "Events ahead", "Known ahead")

Kind = Literal["sentence", "group", "control"]
OnPart = Callable[[float], None]
"""Called with the share of the work that is done."""


@dataclass(frozen=True)
class Effect:
    """What leaving out one part of the prompt does."""

    name: str
    kind: Kind
    text: str
    """The part as it stands in one of the windows."""
    change_W: np.ndarray
    """Mean absolute change of each window's forecast by the forecast's own deviation."""
    error_W: np.ndarray
    """Change of each window's mean absolute error, by the mean error with the whole prompt; above 0 it is worse."""

    @property
    def change(self) -> float:
        """Mean over the windows."""
        return float(self.change_W.mean()) if len(self.change_W) else math.nan

    @property
    def error(self) -> float:
        """Mean over the windows."""
        return float(self.error_W.mean()) if len(self.error_W) else math.nan


@dataclass(frozen=True)
class SentenceEffects:
    """The effects of a run's sentences, largest change first within each kind."""

    windows: int
    effects: tuple[Effect, ...]

    def of(self, kind: Kind) -> tuple[Effect, ...]:
        """Those of one kind."""
        return tuple(effect for effect in self.effects if effect.kind == kind)

    def named(self, name: str) -> Effect:
        """The effect of this name."""
        return next(effect for effect in self.effects if effect.name == name)

    def frame(self) -> pd.DataFrame:
        """One row a part: name, kind, text, windows, and mean, 10 % and 90 % quantile of both changes as shares."""
        rows = []
        for effect in self.effects:
            row: dict[str, object] = {"part": effect.name, "kind": effect.kind, "text": effect.text}
            row["windows"] = len(effect.change_W)
            for name, values_W in (("change", effect.change_W), ("error", effect.error_W)):
                low, high = np.quantile(values_W, (0.1, 0.9)) if len(values_W) else (math.nan, math.nan)
                row |= {name: values_W.mean() if len(values_W) else math.nan, f"{name}_p10": low, f"{name}_p90": high}
            rows.append(row)
        return pd.DataFrame(rows)

    def sentence(self) -> str:
        """The answer in plain words."""
        whole, rounding = self.named(WHOLE), self.named(ROUNDING)
        first = max(self.of("sentence"), key=lambda effect: effect.change)
        if math.isnan(whole.change):
            return "The forecasts are flat, so a change has nothing to be measured by."
        if max(whole.change, first.change) <= 2 * rounding.change:
            return (
                f"The prompt does not matter here: without all of it the forecast changes by {whole.change:.2%} of its "
                f"own deviation, and rounding alone changes it by {rounding.change:.2%}."
            )
        if max(whole.change, first.change) < HARDLY:
            return (
                f"The prompt hardly matters here: without all of it the forecast changes by {whole.change:.1%} of its "
                f"own deviation and its error by {whole.error:+.1%}, averaged over {self.windows} windows."
            )
        low, high = np.quantile(first.change_W, (0.1, 0.9))
        text = (
            f"“{first.name}” moves the forecast most: without it the forecast changes by {first.change:.1%} of its own "
            f"deviation ({low:.1%} to {high:.1%} in most of the {len(first.change_W)} windows) and its error by "
            f"{first.error:+.1%}. "
        )
        if first.change < HARDLY:
            text = f"No sentence moves the forecast much: the most is {first.change:.1%}, by “{first.name}”. "
        text += f"Without the whole prompt it changes by {whole.change:.1%} and its error by {whole.error:+.1%}."
        swapped, shuffled = self.named(SWAPPED), self.named(SHUFFLED)
        if swapped.change < HARDLY:
            text += (
                f" What the statistics say hardly matters: with those of another window it changes by "
                f"{swapped.change:.1%}."
            )
        if shuffled.change < HARDLY:
            text += f" Nor does the order of its words, which changes it by {shuffled.change:.1%}."
        return text


WHOLE, STATISTICS, DESCRIPTION = "The whole prompt", "All statistics", "The whole description"
SWAPPED, SHUFFLED = "Statistics of another window instead", "All its words in another order"
ROUNDING = "Nothing but the rounding"


def sentence_effects(run: PromptedRun, index: WindowIndex, *, on_part: OnPart = lambda share: None) -> SentenceEffects:
    """Leave out each sentence in turn over test windows; `index` may have windows of several channels.

    The unit is the deviation of the forecasts around their means over the horizon, by channel, over these windows.

    Raises:
        BackboneError: the prompts and the patches exceed the backbone's positions.
    """
    facts = run.facts(index)
    parts = parts_of(facts, run.style)
    passes, done = len(parts) + 4, 0

    def forecast(texts: list[str] | None = None, batch: int = EVALUATION_BATCH) -> np.ndarray:
        nonlocal done
        found = run.forecast(
            index, texts, batch=batch, on_batch=lambda windows: on_part((done + windows / len(index)) / passes)
        )
        done += 1
        return found

    own_WH = forecast()
    measure = _Measure(run, index, own_WH)
    effects = []
    for part in parts:
        has_W = np.array([part.is_in(one, run.style) for one in facts])
        changed_WH = forecast([part.without(one, run.style) for one in facts])
        text = part.text(facts[int(has_W.argmax())], run.style)
        effects.append(measure.effect(part.name, part.kind, text, changed_WH, has_W))
    every_W = np.ones(len(index), bool)
    swapped_WH = forecast([one.text(run.style) for one in _with_statistics_of_others(facts)])
    shuffled_WH = forecast([_in_another_order(one.text(run.style)) for one in facts])
    rounded_WH = forecast(batch=EVALUATION_BATCH // 2 + 1)
    controls = [
        measure.effect(SWAPPED, "control", "", swapped_WH, every_W),
        measure.effect(SHUFFLED, "control", "", shuffled_WH, every_W),
        measure.effect(ROUNDING, "control", "", rounded_WH, every_W),
    ]
    kinds = {"sentence": 0, "group": 1, "control": 2}
    ordered = sorted(
        [*effects, *controls],
        key=lambda effect: (kinds[effect.kind], -effect.change if math.isfinite(effect.change) else 0.0),
    )
    return SentenceEffects(len(index), tuple(ordered))


@dataclass(frozen=True)
class Part:
    """What is left out at a time: pieces of a prompt by name, and of pieces that repeat by number."""

    name: str
    kind: Kind
    pieces: tuple[tuple[str, int], ...]
    """Name and number of each piece, as `numbered` counts them."""

    def is_in(self, facts: PromptFacts, style: str) -> bool:
        """Whether a prompt has it."""
        return any(text for key, text in numbered(facts, style) if key in self.pieces)

    def text(self, facts: PromptFacts, style: str) -> str:
        """As a prompt has it."""
        return "".join(text for key, text in numbered(facts, style) if key in self.pieces).strip()

    def without(self, facts: PromptFacts, style: str) -> str:
        """A prompt without it."""
        return "".join(text for key, text in numbered(facts, style) if key not in self.pieces)


def numbered(facts: PromptFacts, style: str) -> list[tuple[tuple[str, int], str]]:
    """The pieces of a prompt, each with its name and its number among those of that name; descriptions in sentences.

    Joined, they are the prompt.
    """
    found: list[tuple[tuple[str, int], str]] = []
    counts: dict[str, int] = {}
    for piece in facts.pieces(style):
        texts = [piece.text]
        if piece.name == "description":
            heading = piece.text[: len(piece.text) - len(facts.description)]
            texts = [heading, *description_sentences(facts.description)]
        for text in texts:
            number = counts.get(piece.name, 0)
            counts[piece.name] = number + 1
            found.append(((piece.name, number), text))
    return found


def description_sentences(description: str) -> list[str]:
    """A description in at most `MOST_SENTENCES` sentences, each with the blanks behind it."""
    sentences = [one for one in re.split(r"(?<=[.!?])(?<!\b\w\.)(?=\s+\S)", description) if one]
    if len(sentences) > MOST_SENTENCES:
        sentences = [*sentences[: MOST_SENTENCES - 1], "".join(sentences[MOST_SENTENCES - 1 :])]
    return sentences


def parts_of(facts: Sequence[PromptFacts], style: str) -> list[Part]:
    """Everything that is left out in turn from windows with these prompts: what at least one of them has."""
    keys = [key for key, _ in numbered(facts[0], style)]
    sentences = len(description_sentences(facts[0].description))
    parts = []
    for name, number in keys:
        if name == "description" and number > 0:
            title = "Description" if sentences == 1 else f"Description, sentence {number}"
            heading = (("description", 0),) if sentences == 1 else ()
            parts.append(Part(title, "sentence", (*heading, (name, number))))
        elif name == "time":
            title = _TIMES[number] if len(facts[0].told) >= len(_TIMES) - 1 else "Time"
            parts.append(Part(title, "sentence", ((name, number),)))
        elif name in _TITLES:
            parts.append(Part(_TITLES[name], "sentence", ((name, number),)))
    if sentences > 1:
        parts.append(Part(DESCRIPTION, "group", tuple(key for key in keys if key[0] == "description")))
    parts.append(Part(STATISTICS, "group", tuple(key for key in keys if key[0] in ("statistics", *_STATISTICS))))
    parts.append(Part(WHOLE, "group", tuple(keys)))
    return [part for part in parts if any(part.is_in(one, style) for one in facts)]


def _with_statistics_of_others(facts: Sequence[PromptFacts]) -> list[PromptFacts]:
    """Each prompt with the statistics of the window half of the list away."""
    others = [*facts[len(facts) // 2 :], *facts[: len(facts) // 2]]
    return [
        replace(one, **{name: getattr(other, name) for name in _STATISTICS})
        for one, other in zip(facts, others, strict=True)
    ]


def _in_another_order(text: str) -> str:
    """The words of a text in an order that is always the same, with the first one in its place: it may be a sink."""
    first, *words = text.split(" ")
    order = np.random.default_rng(0).permutation(len(words))
    return " ".join([first, *(words[place] for place in order)])


class _Measure:
    """Sets forecasts beside those with the whole prompts, each channel in its own units."""

    def __init__(self, run: PromptedRun, index: WindowIndex, own_WH: np.ndarray) -> None:
        self._own_WH = own_WH
        rows_WH = index.origin[:, None] + np.arange(own_WH.shape[1])
        self._actual_WH = run.prepared.values[rows_WH, index.channel[:, None]]
        self._scale_W = run.prepared.scaler.scale[index.channel]
        variance_W = own_WH.var(axis=1)
        by_channel = {one: math.sqrt(variance_W[index.channel == one].mean()) for one in np.unique(index.channel)}
        self._deviation_W = np.array([by_channel[one] or math.nan for one in index.channel])
        self._error_W = self._errors(own_WH)

    def effect(self, name: str, kind: Kind, text: str, changed_WH: np.ndarray, has_W: np.ndarray) -> Effect:
        """What a change of the prompts does, over the windows whose prompts it changes."""
        change_W = np.abs(changed_WH - self._own_WH).mean(axis=1) / self._deviation_W
        error_W = (self._errors(changed_WH) - self._error_W) / self._error_W.mean()
        return Effect(name, kind, text, change_W[has_W], error_W[has_W])

    def _errors(self, forecast_WH: np.ndarray) -> np.ndarray:
        """Mean absolute error of each window, z-scored by channel."""
        errors_W: np.ndarray = np.abs(forecast_WH - self._actual_WH).mean(axis=1) / self._scale_W
        return errors_W
