"""The prompt's wording, digits and lags, each a setting of its own, and what they depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timellm.config import ModelConfig
from timellm.forecasters.time_llm.patching import instance_norm
from timellm.forecasters.time_llm.prompt import PromptTemplate, circular_lags, distinct_lags

PUBLISHED = {"prompt_style": "paper", "statistic_digits": 0, "lags": "circular"}


def template(description: str = "Load.", **settings) -> PromptTemplate:
    return PromptTemplate(description, ModelConfig(context=96, horizon=24, **settings))


def daily(context: int = 96) -> torch.Tensor:
    """One normalised window with a period of 24."""
    wave = torch.sin(torch.arange(context) * 2 * torch.pi / 24) + 0.01 * torch.arange(context)
    return instance_norm(wave[None])[0]


def walks(count: int, context: int = 96) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 50 + 3 * torch.randn(count, context, generator=generator).cumsum(1)


def summary(window: torch.Tensor) -> tuple[float, float, float]:
    return window.min().item(), window.max().item(), window.median().item()


def test_published_settings_give_the_published_sentence():
    window = daily()
    low, high, median = summary(window)
    lags = circular_lags(window)[0].tolist()
    assert template(**PUBLISHED).texts(window)[0] == (
        "<|start_prompt|>Dataset description: Load.Task description: forecast the next 24 steps given the previous 96"
        f" steps information; Input statistics: min value {low}, max value {high}, median value {median}, the trend of"
        f" input is upward, top 5 lags are : {lags}<|<end_prompt>|>"
    )
    assert lags[0] == 0


def test_default_prompt_says_the_same_in_fewer_words():
    window = daily()
    low, high, median = summary(window)
    text = template().texts(window)[0]
    assert "Load." in text and "next 24 steps given the previous 96" in text
    assert text.split("Input statistics: ")[1] == (
        f"min {low:.2g} max {high:.2g} median {median:.2g} trend upward"
        f" lags {' '.join(str(lag) for lag in distinct_lags(window)[0].tolist())}"
    )


@pytest.mark.parametrize("style", ["paper", "compact"])
@pytest.mark.parametrize("digits", [0, 1, 2, 4, 8])
def test_digits_are_chosen_apart_from_the_wording(style, digits):
    window = daily()
    text = template(prompt_style=style, statistic_digits=digits).texts(window)[0]
    low, high, median = (f"{value:.{digits}g}" if digits else str(value) for value in summary(window))
    if style == "paper":
        assert f"min value {low}, max value {high}, median value {median}, " in text
    else:
        assert f"min {low} max {high} median {median} " in text


@pytest.mark.parametrize("style", ["paper", "compact"])
@pytest.mark.parametrize(("kind", "find"), [("distinct", distinct_lags), ("circular", circular_lags)])
def test_lags_are_chosen_apart_from_the_wording(style, kind, find):
    window = daily()
    told = find(window)[0].tolist()
    text = template(prompt_style=style, lags=kind).texts(window)[0]
    end = f"top 5 lags are : {told}<|<end_prompt>|>" if style == "paper" else f" lags {' '.join(map(str, told))}"
    assert text.endswith(end)


def test_distinct_lags_are_found_and_told_once():
    window = daily()
    centred = window[0].numpy() - window[0].numpy().mean()
    correlation = [float(np.dot(centred, np.roll(centred, lag))) for lag in range(1, 49)]
    assert distinct_lags(window)[0].tolist() == (np.argsort(correlation)[::-1][:5] + 1).tolist()


def test_circular_lags_are_zero_and_mirror_pairs():
    lags = circular_lags(instance_norm(walks(50))[0])
    assert (lags[:, 0] == 0).all()
    assert ((lags[:, 1] + lags[:, 2]) == 96).all() and ((lags[:, 3] + lags[:, 4]) == 96).all()


def test_shortest_context_has_fewer_lags_and_says_so():
    config = ModelConfig(context=8, horizon=2, patch_length=4, stride=2, prompt_style="paper")
    text = PromptTemplate("", config).texts(daily(8))[0]
    assert "top 4 lags are : [" in text


@pytest.mark.parametrize("settings", [{}, PUBLISHED])
def test_prompt_does_not_depend_on_the_batch(settings):
    windows, writer = walks(40), template(**settings)

    def texts(x: torch.Tensor) -> list[str]:
        return writer.texts(instance_norm(x, as_published="lags" in settings)[0])

    together = texts(windows)
    assert together == [texts(windows[i : i + 1])[0] for i in range(40)]
    assert together == texts(windows[:17]) + texts(windows[17:])


def test_published_mean_is_that_of_a_column_of_a_table():
    windows = walks(2)
    table_BTN = windows.T[None].contiguous()
    _, mean_B1, _ = instance_norm(windows, as_published=True)
    assert torch.equal(mean_B1[:, 0], table_BTN.mean(dim=1)[0])


def test_both_norms_agree_to_rounding():
    exact, published = (instance_norm(walks(20), as_published=flag) for flag in (False, True))
    for mine, theirs in zip(exact, published, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-5)


def test_prompt_tells_trends_apart():
    up = daily()
    assert "trend upward" in template().texts(up)[0] and "trend downward" in template().texts(-up)[0]
