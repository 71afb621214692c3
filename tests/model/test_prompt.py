"""The prompt's two styles, and what the lags mean."""

from __future__ import annotations

import numpy as np
import torch

from timellm.model.patching import instance_norm
from timellm.model.prompt import PromptTemplate, strongest_lags


def daily(context: int = 96) -> torch.Tensor:
    """One normalised window with a period of 24."""
    wave = torch.sin(torch.arange(context) * 2 * torch.pi / 24) + 0.01 * torch.arange(context)
    return instance_norm(wave[None])[0]


def test_paper_prompt_is_the_published_sentence():
    window = daily()
    text = PromptTemplate("Load.", 96, 24, "paper").texts(window)[0]
    low, high, median = window.min().item(), window.max().item(), window.median().item()
    lags = strongest_lags(window, mirrored=True)[0].tolist()
    assert text == (
        "<|start_prompt|>Dataset description: Load.Task description: forecast the next 24 steps given the previous 96"
        f" steps information; Input statistics: min value {low}, max value {high}, median value {median}, the trend of"
        f" input is upward, top 5 lags are : {lags}<|<end_prompt>|>"
    )
    assert lags[0] == 0


def test_compact_prompt_says_the_same_in_fewer_words():
    window = daily()
    text = PromptTemplate("Load.", 96, 24).texts(window)[0]
    assert "Load." in text and "next 24 steps given the previous 96" in text
    lags = ", ".join(str(lag) for lag in strongest_lags(window, mirrored=False)[0].tolist())
    low, high, median = window.min().item(), window.max().item(), window.median().item()
    assert text.split("Input statistics: ")[1] == (
        f"min {low:.3g}, max {high:.3g}, median {median:.3g}, trend upward, top lags {lags}"
    )


def test_compact_lags_are_found_and_told_once():
    window = daily()
    centred = window[0].numpy() - window[0].numpy().mean()
    correlation = [float(np.dot(centred, np.roll(centred, lag))) for lag in range(1, 49)]
    expected = (np.argsort(correlation)[::-1][:5] + 1).tolist()
    assert strongest_lags(window, mirrored=False)[0].tolist() == expected


def test_prompt_tells_trends_apart():
    up = daily()
    assert "trend downward" in PromptTemplate("", 96, 24).texts(-up)[0]
