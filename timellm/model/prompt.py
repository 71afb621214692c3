"""The prompt put before the patches: what the data is, the task, and the window's own statistics (paper section 3.1).

Normalised windows in, texts out; tokens are the backbone's business.

Two styles. "paper" is the published prompt digit for digit: `str(float)` statistics and the five strongest circular
lags, in which lag 0 always leads and lags come in mirror pairs (k, T-k). "compact" says the same in 45 instead of about
105 tokens (SmolLM2's tokenizer), because the statistics are read anew for every window: three significant digits, fewer
words, no closing marker, and lags between 1 and T/2 only.

Shapes: B batch, T context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

LAGS = 5


@dataclass(frozen=True)
class PromptTemplate:
    """Everything of the prompt that is the same for every window."""

    description: str
    context: int
    horizon: int
    style: Literal["compact", "paper"] = "compact"

    def texts(self, normed_BT: Tensor) -> list[str]:
        """One prompt for each instance-normalised window."""
        lowest, highest = normed_BT.amin(dim=1), normed_BT.amax(dim=1)
        median = normed_BT.median(dim=1).values
        # The sum of differences, not last minus first: the published rounding decides ties.
        upward = (normed_BT.diff(dim=1).sum(dim=1) > 0).tolist()
        lags = strongest_lags(normed_BT, mirrored=self.style == "paper").tolist()
        start = (
            f"<|start_prompt|>Dataset description: {self.description}"
            f"Task description: forecast the next {self.horizon} steps"
            f" given the previous {self.context} steps information; Input statistics: "
        )
        statistics = _paper_statistics if self.style == "paper" else _compact_statistics
        rows = zip(lowest.tolist(), highest.tolist(), median.tolist(), upward, lags, strict=True)
        return [start + statistics(*row) for row in rows]


def _paper_statistics(low: float, high: float, median: float, upward: bool, lags: list[int]) -> str:
    return (
        f"min value {low}, max value {high}, median value {median}, the trend of input is"
        f" {'upward' if upward else 'downward'}, top {LAGS} lags are : {lags}<|<end_prompt>|>"
    )


def _compact_statistics(low: float, high: float, median: float, upward: bool, lags: list[int]) -> str:
    trend = "upward" if upward else "downward"
    return f"min {low:.3g}, max {high:.3g}, median {median:.3g}, trend {trend}, top lags {', '.join(map(str, lags))}"


def strongest_lags(normed_BT: Tensor, *, mirrored: bool) -> Tensor:
    """The lags [B, 5] of largest circular autocorrelation, strongest first.

    With `mirrored`, over all lags 0 to T-1 as published; without, over 1 to T/2, where each lag is told once.
    """
    if mirrored:
        # In float32, as published: which of two mirror lags leads is decided by the last bit, and so by the processor.
        return _autocorrelation(normed_BT.float()).topk(LAGS, dim=1).indices
    half = _autocorrelation(normed_BT.double())[:, 1 : normed_BT.shape[1] // 2 + 1]
    return half.topk(min(LAGS, half.shape[1]), dim=1).indices + 1


def _autocorrelation(normed_BT: Tensor) -> Tensor:
    spectrum = torch.fft.rfft(normed_BT, dim=1)
    return torch.fft.irfft(spectrum * spectrum.conj(), n=normed_BT.shape[1], dim=1)
