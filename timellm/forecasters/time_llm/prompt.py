"""The prompt put before the patches: what the data is, the task, and the window's own statistics (paper section 3.1).

Inputs: normalised windows. Outputs: texts; the backbone makes tokens of them.

Wording, digits and lags are settings of their own (`prompt_style`, `statistic_digits`, `lags`), and so is what is said
of the window's place in time (`prompt_calendar`, `holiday_country`, `dated_notes`; timellm.data.told). With "paper", 0,
"circular" and nothing said of time the text is the published one to the last digit. The defaults say the same in 34
instead of about 105 tokens (SmolLM2's tokenizer), because the statistics are read anew for every window.

Shapes: B batch, T context, K lags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from timellm.config import ModelConfig
from timellm.data.events import event_names
from timellm.data.told import example_words
from timellm.forecasters.time_llm.patching import instance_norm
from timellm.forecasters.time_llm.wording import LAGS, PromptFacts, digits

TokenIds = Callable[[list[str]], list[list[int]]]
"""What makes tokens of texts."""


@dataclass(frozen=True)
class PromptTemplate:
    """Everything of the prompt that is the same for every window."""

    description: str
    config: ModelConfig

    def texts(self, normed_BT: Tensor, told: Sequence[str] | None = None) -> list[str]:
        """One prompt for each instance-normalised window; `told` says where each lies in time, if the settings ask."""
        found = self.facts(normed_BT, None if told is None else [(words,) for words in told])
        return [facts.text(self.config.prompt_style) for facts in found]

    def facts(self, normed_BT: Tensor, told: Sequence[tuple[str, ...]] | None = None) -> list[PromptFacts]:
        """What the prompt of each window says; `told` has sentences on its place in time, if the settings ask."""
        assert (told is not None) == self.config.tells_time, "a window's words must reach its prompt"
        kept = self.config.statistic_digits
        find_lags = {"distinct": distinct_lags, "circular": circular_lags}[self.config.lags]
        summary_B3 = torch.stack([normed_BT.amin(dim=1), normed_BT.amax(dim=1), normed_BT.median(dim=1).values], dim=1)
        # The sum of differences, not last minus first: the published rounding decides ties.
        upward = (normed_BT.diff(dim=1).sum(dim=1) > 0).tolist()
        told = [()] * len(normed_BT) if told is None else told
        rows = zip(told, summary_B3.tolist(), upward, find_lags(normed_BT).tolist(), strict=True)
        return [
            PromptFacts(
                self.description,
                self.config.context,
                self.config.horizon,
                sentences,
                minimum=digits(low, kept),
                maximum=digits(high, kept),
                median=digits(median, kept),
                trend="upward" if up else "downward",
                lags=tuple(map(str, lags)),
            )
            for sentences, (low, high, median), up, lags in rows
        ]

    def examples_for(self, token_ids: TokenIds) -> list[str]:
        """As `examples`, with names of events that take most tokens; of a run that has a prompt."""
        names = event_names(self.config) if self.config.tells_time else ()
        tokens = {name: len(token_ids([name])[0]) for name in set(names)}
        return self.examples(example_words(self.config, sorted(names, key=lambda name: (-tokens[name], name))))

    def examples(self, told: Sequence[str]) -> list[str]:
        """Prompts that differ from the first place at which two of them can, some of them as long as any.

        `told` are examples of what is said of a window's place in time.
        """
        # Random windows and a constant one: without it all of them begin with a minus sign and much the same digit.
        random_BT = torch.randn(16, self.config.context, generator=torch.Generator().manual_seed(0))
        normed_BT = instance_norm(torch.cat([random_BT, torch.zeros(1, self.config.context)]))[0]
        if not self.config.tells_time:
            return self.texts(normed_BT)
        longest = max(told, key=len)
        return [
            *self.texts(normed_BT, [longest] * len(normed_BT)),
            *self.texts(normed_BT[:1].expand(len(told), -1), told),
        ]


def shared_start(ids: list[list[int]]) -> list[int]:
    """The tokens with which all prompts begin whose examples have these ids.

    They are found on token ids, because a tokenizer may merge tokens across any border of the text.
    """
    first, last = min(ids), max(ids)  # the two that part first
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)]


def distinct_lags(normed_BT: Tensor) -> Tensor:
    """The lags [B, K] between 1 and T/2 of largest circular autocorrelation, strongest first; K is 5 or T/2 if less."""
    half = _autocorrelation(normed_BT.double())[:, 1 : normed_BT.shape[1] // 2 + 1]
    return half.topk(min(LAGS, half.shape[1]), dim=1).indices + 1


def circular_lags(normed_BT: Tensor) -> Tensor:
    """The published lags [B, 5] among 0 to T-1: 0 always comes first, the others come in mirror pairs (k, T-k).

    The two lags of a pair correlate equally; the rounding of the float32 FFT, and so the processor, decides which comes
    first.
    """
    return _autocorrelation(normed_BT.float()).topk(LAGS, dim=1).indices


def _autocorrelation(normed_BT: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(normed_BT, dim=1)
    return torch.fft.irfft(spectrum * spectrum.conj(), n=normed_BT.shape[1], dim=1)
