"""Which words of the prompt the patches read: the backbone's own attention from patches to prompt tokens.

Inputs: a run folder and a window. Outputs: weights by layer and head. A second copy of the backbone is loaded, with the
library's plain attention, which gives its weights; the copy with which the run forecasts is not touched, and nothing is
kept on a module.

In a causal backbone the prompt comes first and never sees the patches, and a patch sees the prompt and the patches
before it. In a bidirectional one (BERT) all see each other; its weights from patches to the prompt are shown, too, but
the prompt's tokens then hold what they have read of the patches.

Shapes: l layers, h heads, P patches, L prompt tokens, K prompt tokens and patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from timellm.errors import ConfigError
from timellm.explain.attention import context_of
from timellm.explain.prompt import PromptReader, WindowPrompt, check_prompt
from timellm.forecasters.time_llm.forecaster import TimeLLMForecaster
from timellm.forecasters.time_llm.patching import patch_spans
from timellm.forecasting.artifacts import RunFolder
from timellm.forecasting.fitted import FittedRun

SINK = 10.0
"""A token that gets so many times an even share of the attention is called a sink."""


@dataclass(frozen=True)
class Shares:
    """Where the patches' attention goes; together they are 1."""

    first: float
    """To the prompt's first token."""
    sinks: float
    """To other attention sinks of the prompt."""
    rest: float
    """To the rest of the prompt."""
    patches: float
    """To the patches themselves."""


@dataclass(frozen=True)
class PromptAttention:
    """Attention of one window's patches in the backbone."""

    weights_lhPK: np.ndarray
    """[layers, heads, P, L + P]; each row sums to 1."""
    prompt: WindowPrompt
    context: pd.Series
    """[T] the window in original units, over time."""
    spans_P2: np.ndarray
    """Rows of the context that each patch covers, end exclusive."""
    causal: bool

    @property
    def layers(self) -> int:
        """Layers of the backbone in use."""
        return self.weights_lhPK.shape[0]

    @property
    def heads(self) -> int:
        """Heads of each layer."""
        return self.weights_lhPK.shape[1]

    def matrix(self, layer: int | None = None, head: int | None = None) -> np.ndarray:
        """[P, L + P] of one layer and head, counted from 0, or the mean over all of them."""
        chosen = self.weights_lhPK if layer is None else self.weights_lhPK[layer : layer + 1]
        chosen = chosen if head is None else chosen[:, head : head + 1]
        mean_PK: np.ndarray = chosen.mean(axis=(0, 1))
        return mean_PK

    def to_prompt(self, layer: int | None = None, head: int | None = None) -> np.ndarray:
        """[P, L] of `matrix`: to the prompt's tokens alone."""
        return self.matrix(layer, head)[:, : len(self.prompt.tokens)]

    def shares(self, layer: int | None = None, head: int | None = None) -> Shares:
        """Where the attention goes, mean over the patches."""
        to_prompt_L = self.to_prompt(layer, head).mean(axis=0)
        first, whole = float(to_prompt_L[0]), float(to_prompt_L.sum())
        sinks = float(to_prompt_L[list(self.sinks(layer, head))].sum()) - first
        return Shares(first, sinks, whole - first - sinks, 1 - whole)

    def sinks(self, layer: int | None = None, head: int | None = None) -> tuple[int, ...]:
        """Places of the first token and of those that get more than `SINK` times an even share, in order.

        Language models rest attention that they have no use for on a few tokens, mostly the first. What these say does
        not matter.
        """
        to_prompt_L = self.to_prompt(layer, head).mean(axis=0)
        even = 1 / self.weights_lhPK.shape[-1]
        return (0, *(int(place) for place in np.flatnonzero(to_prompt_L > SINK * even) if place))

    def sink_words(self, layer: int | None = None, head: int | None = None) -> list[tuple[str, str]]:
        """Each sink, and the word in which it lies."""
        tokens, sinks = self.prompt.tokens, self.sinks(layer, head)
        words = {place: places for places in self.prompt.words() for place in places}
        return [(tokens[one].text, "".join(tokens[place].text for place in words[one]).strip()) for one in sinks]

    def words(self, layer: int | None = None, head: int | None = None) -> pd.DataFrame:
        """One row a word of the prompt, in its order: word, tokens, attention (mean over the patches), holds a sink.

        Attention is a share of all that a patch gives, so that the words' sum is what the whole prompt gets.
        """
        to_prompt_L = self.to_prompt(layer, head).mean(axis=0)
        tokens, sinks = self.prompt.tokens, set(self.sinks(layer, head))
        rows = [
            {
                "word": "".join(tokens[place].text for place in places).strip(),
                "tokens": len(places),
                "attention": float(to_prompt_L[places].sum()),
                "sink": not sinks.isdisjoint(places),
            }
            for places in self.prompt.words()
        ]
        return pd.DataFrame(rows)

    def frame(self, layer: int | None = None, head: int | None = None) -> pd.DataFrame:
        """One row a patch with its first and last time, one column a token named by its number (from 1) and text."""
        names = [f"{number}: {token.text}" for number, token in enumerate(self.prompt.tokens, start=1)]
        frame = pd.DataFrame(self.to_prompt(layer, head), columns=names)
        frame.insert(0, "end", self.context.index[self.spans_P2[:, 1] - 1])
        frame.insert(0, "start", self.context.index[self.spans_P2[:, 0]])
        frame.index.name = "patch"
        return frame


class PromptAttentionReader:
    """A run's language model with attention that gives its weights."""

    def __init__(self, fitted: FittedRun, prompts: PromptReader) -> None:
        assert isinstance(fitted.forecaster, TimeLLMForecaster)
        self._fitted, self._network, self._prompts = fitted, fitted.forecaster.network, prompts
        self._network.eval()
        self._network.reader.backbone.model.set_attn_implementation("eager")
        self._source = fitted.forecaster.source(fitted.prepared)

    @classmethod
    def open(cls, run_dir: str | Path, *, trust_remote_code: bool = False) -> Self:
        """Load a second, plain copy of a run.

        Raises:
            BackboneError: the backbone cannot be loaded on this machine.
            CheckpointError: the run folder is incomplete or damaged.
            ConfigError: the run has no prompt, or no language model reads it.
        """
        config = RunFolder(Path(run_dir)).config()
        check_prompt(config)
        if not config.model.layers_run:
            raise ConfigError(
                f"one trained layer reads the prompt in this run (body={config.model.body}), not a language model"
            )
        fitted = FittedRun.load(run_dir, trust_remote_code=trust_remote_code, fast_code=False)
        return cls(fitted, PromptReader.open(run_dir))

    def of(self, channel: str, cutoff: pd.Timestamp | None = None) -> PromptAttention:
        """Attention of the window of `channel` that ends at `cutoff`, or with the data.

        Raises:
            BackboneError: the backbone's code does not give the weights.
            DataError: there is no such window.
        """
        prepared, config = self._fitted.prepared, self._fitted.config
        context = context_of(config, prepared.table, channel=channel, cutoff=cutoff)
        number = np.array([prepared.table.channels.index(channel)])
        origin = np.array([prepared.table.values.index.get_loc(context.index[-1]) + 1])
        told = self._source.beside(number, origin=origin).get("told")
        layers = self._network.attention_to_prompt(self._source.contexts(number, origin=origin), told)
        weights_lhPK = np.stack([layer.cpu().numpy() for layer in layers])
        # In bfloat16 a row's weights, each rounded, sum to 0.99 or 1.01.
        weights_lhPK /= weights_lhPK.sum(axis=-1, keepdims=True)
        model = config.model
        return PromptAttention(
            weights_lhPK,
            self._prompts.of(channel, cutoff),
            context,
            np.array(patch_spans(model.context, patch_length=model.patch_length, stride=model.stride)),
            causal=self._network.reader.backbone.causal,
        )
