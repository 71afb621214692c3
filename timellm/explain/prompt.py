"""The exact prompt of one window, with its tokens, from the tokenizer alone: the backbone is not loaded.

Inputs: a run folder and a window. Outputs: what the prompt says, its text, its tokens, and how many of them all windows
of the run share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from timellm.config import ModelConfig, RunConfig, TimeLLMConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import Table
from timellm.data.told import Told
from timellm.data.windows import WindowIndex
from timellm.errors import BackboneError, ConfigError, DataError
from timellm.explain.attention import context_of
from timellm.forecasters.time_llm.patching import instance_norm
from timellm.forecasters.time_llm.prompt import PromptTemplate, shared_start
from timellm.forecasters.time_llm.shape import backbone_shape
from timellm.forecasters.time_llm.tokenizer import PromptTokenizer, Token
from timellm.forecasters.time_llm.wording import PromptFacts
from timellm.forecasting.artifacts import RunFolder

EDITABLE = ("description", "time", "minimum", "maximum", "median", "trend", "lags")
"""What of a prompt can be said otherwise."""
LONGEST_EDIT = 4000
"""Letters of an edited text, as many as a description may have on the data page."""


@dataclass(frozen=True)
class WindowPrompt:
    """A prompt and its tokens."""

    facts: PromptFacts
    style: str
    tokens: tuple[Token, ...]
    shared: int
    """Tokens at its start that all windows of the run share."""
    causal: bool
    """Whether the shared tokens are read once and kept; a bidirectional backbone reads them anew for each window."""
    patches: int
    """Patches of the window, which the backbone reads behind the prompt."""
    most: int | None
    """Tokens and patches that the backbone reads at most; None if there is no limit."""

    @property
    def text(self) -> str:
        """As the tokenizer gets it."""
        return self.facts.text(self.style)

    def frame(self) -> pd.DataFrame:
        """One row a token: its text and id, the piece of the prompt in which it lies, and whether all windows share it.

        A token at a border belongs to the piece of its last letter.
        """
        pieces = self.facts.pieces(self.style)
        found = pd.DataFrame(
            {
                "token": [token.text for token in self.tokens],
                "id": [token.id for token in self.tokens],
                "piece": [pieces[place].name for place in self._pieces()],
                "shared": np.arange(len(self.tokens)) < self.shared,
            }
        )
        found.index.name = "number"
        return found

    def words(self) -> list[list[int]]:
        """The prompt's words in order, each as the places of its tokens.

        A token of the tokenizer's own is a word, and a word ends with its piece of the prompt.
        """
        found: list[list[int]] = []
        last: tuple[int, ...] = ()
        for place, (token, piece) in enumerate(zip(self.tokens, self._pieces(), strict=True)):
            own = token.begin == token.end and token.text
            word = (place,) if own else (piece, _word_of(self.text, max(token.end - 1, 0)))
            if word == last:
                found[-1].append(place)
            else:
                found.append([place])
            last = word
        return found

    def _pieces(self) -> list[int]:
        """In which piece of the prompt each token's last letter lies."""
        pieces = self.facts.pieces(self.style)
        ends = np.cumsum([len(piece.text) for piece in pieces])
        places = [int(np.searchsorted(ends, max(token.end - 1, 0), side="right")) for token in self.tokens]
        return [min(place, len(pieces) - 1) for place in places]

    def check_length(self) -> None:
        """Refuse a prompt that the backbone cannot read together with the patches.

        Raises:
            BackboneError: says what the limit is.
        """
        if self.most is not None and len(self.tokens) + self.patches > self.most:
            raise BackboneError(
                f"the backbone reads at most {self.most:,} tokens and patches, and this prompt has {len(self.tokens):,}"
                f" tokens before {self.patches:,} patches: {len(self.tokens) + self.patches - self.most:,} too many;"
                " shorten the prompt"
            )


def _word_of(text: str, place: int) -> int:
    """Where the word begins in which this letter lies; the blanks before a word belong to it."""
    end = place
    while end < len(text) and text[end].isspace():
        end += 1
    return max(text.rfind(" ", 0, end), text.rfind("\n", 0, end)) if end else -1


def edited(facts: PromptFacts, changes: dict[str, str]) -> PromptFacts:
    """The same prompt with some of it said otherwise, by names of `EDITABLE`; blanks or commas part lags.

    Raises:
        ConfigError: a name is none of these, or a text is too long.
    """
    for name, text in changes.items():
        if name not in EDITABLE:
            raise ConfigError(f"a prompt has no '{name}' to change; it has {', '.join(EDITABLE)}")
        if len(text) > LONGEST_EDIT:
            raise ConfigError(f"'{name}' has {len(text):,} letters; a prompt takes at most {LONGEST_EDIT:,} of them")
    values: dict[str, Any] = dict(changes)
    if "time" in changes:
        said = changes["time"].strip()
        values["told"] = (f"{said} ",) if said else ()
        del values["time"]
    if "lags" in changes:
        values["lags"] = tuple(changes["lags"].replace(",", " ").split())
    return replace(facts, **values)


def said(facts: PromptFacts) -> dict[str, str]:
    """What a prompt says, by names of `EDITABLE`: the inverse of `edited`."""
    values = {name: getattr(facts, name) for name in EDITABLE if name not in ("time", "lags")}
    values |= {"time": "".join(facts.told).strip(), "lags": " ".join(facts.lags)}
    return {name: values[name] for name in EDITABLE}


class PromptReader:
    """Reads the prompts of a run's windows."""

    def __init__(self, config: RunConfig, prepared: PreparedData, tokenizer: PromptTokenizer) -> None:
        self.config, self.prepared, self._tokenizer = config, prepared, tokenizer
        self._template = PromptTemplate(config.data.description, config.model)
        self._shared = shared_start(tokenizer.token_ids(self._template.examples_for(tokenizer.token_ids)))
        self._causal = backbone_shape(config.model.backbone).causal and config.model.layers_run > 0

    @classmethod
    def open(cls, run_dir: str | Path) -> Self:
        """The reader of a finished run, whose backbone is on this machine.

        Raises:
            BackboneError: the backbone's tokenizer is not here or cannot be read.
            CheckpointError: the run folder is incomplete or damaged.
            ConfigError: the run has no prompt.
        """
        folder = RunFolder(Path(run_dir))
        config = folder.config()
        check_prompt(config)
        return cls(config, folder.prepared(), _tokenizer(config))

    @classmethod
    def planned(cls, config: RunConfig, table: Table) -> Self:
        """The reader of a run that is yet to be trained, whose backbone is on this machine.

        Raises:
            BackboneError: the backbone's tokenizer is not here or cannot be read.
            ConfigError: the run would have no prompt, or its split does not fit the table.
            DataError: a channel has no value in the training rows.
        """
        check_prompt(config)
        return cls(config, PreparedData.of(table, config), _tokenizer(config))

    def of(self, channel: str, cutoff: pd.Timestamp | None = None) -> WindowPrompt:
        """The prompt of the window of `channel` that ends at `cutoff`, or with the data.

        Raises:
            DataError: there is no such channel, no such row, too few rows before it, or a missing value among them.
        """
        table = self.prepared.table
        context = context_of(self.config, table, channel=channel, cutoff=cutoff)
        origin = table.values.index.get_loc(context.index[-1]) + 1
        index = WindowIndex(np.array([table.channels.index(channel)]), np.array([origin]), 0)
        return self.with_tokens(facts_of(self.prepared, self.config.model, index)[0])

    def of_last_window(self, channel: str) -> WindowPrompt:
        """The prompt of the last window of `channel` in the test part.

        Raises:
            DataError: there is no such window without missing values.
        """
        index, number = self.prepared.windows("test"), self.prepared.table.channels.index(channel)
        mine = np.flatnonzero(index.channel == number)
        if not len(mine):
            raise DataError(f"channel '{channel}' has no test window without missing values; choose another channel")
        last = index.part(int(mine[-1]), int(mine[-1]) + 1)
        return self.with_tokens(facts_of(self.prepared, self.config.model, last)[0])

    def with_tokens(self, facts: PromptFacts) -> WindowPrompt:
        """A prompt that says these facts."""
        model, tokens = self.config.model, tuple(self._tokenizer.tokens(facts.text(self.config.model.prompt_style)))
        foreseen = [token.id for token in tokens[: len(self._shared)]] == self._shared
        return WindowPrompt(
            facts,
            model.prompt_style,
            tokens,
            shared=len(self._shared) if foreseen else 0,
            causal=self._causal,
            patches=model.patches,
            most=self._tokenizer.max_positions,
        )


def _tokenizer(config: RunConfig) -> PromptTokenizer:
    # Code that ships with a backbone runs for a reader only if the reader asks for it, which nobody does here.
    return PromptTokenizer.load(config.model.model_copy(update={"trust_remote_code": False}))


def facts_of(prepared: PreparedData, model: ModelConfig, index: WindowIndex) -> list[PromptFacts]:
    """What the prompts of windows say."""
    contexts_WT = prepared.source().contexts(index.channel, origin=index.origin)
    told = Told(prepared.table, model).sentences(index.origin, index.channel) if model.tells_time else None
    normed_WT, _, _ = instance_norm(contexts_WT, as_published=model.statistic_digits == 0)
    return PromptTemplate(prepared.config.data.description, model).facts(normed_WT, told)


def check_prompt(config: RunConfig) -> None:
    """Refuse a run without a prompt.

    Raises:
        ConfigError: says why it has none.
    """
    if reason := why_no_prompt(config):
        raise ConfigError(reason)


def why_no_prompt(config: RunConfig) -> str:
    """Why a run has no prompt; empty if it has one."""
    if not isinstance(config.forecaster, TimeLLMConfig):
        return "this kind of forecaster reads numbers alone; only Time-LLM has a prompt"
    if config.forecaster.prompt_style == "none":
        return "this run was trained without a prompt (prompt_style=none), so there is none to look at"
    if config.forecaster.body == "none":
        return "nothing reads a prompt in this run: its patches go straight to the head (body=none)"
    return ""
