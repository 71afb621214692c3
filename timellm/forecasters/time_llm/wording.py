"""The words of a prompt. `prompt` fills in a window's numbers; `memory` counts the tokens.

"paper" is the published text; "compact" says the same in a third of the tokens.
"""

from __future__ import annotations

LAGS = 5
_STATISTICS = "Input statistics: "


def shared_words(description: str, *, context: int, horizon: int, told: str = "") -> str:
    """The text before a window's statistics; every prompt of a run begins with it, up to what it is `told` of time."""
    return (
        f"<|start_prompt|>Dataset description: {description}"
        f"Task description: forecast the next {horizon} steps"
        f" given the previous {context} steps information; {told}{_STATISTICS}"
    )


def statistic_words(style: str, summary: list[str], *, upward: bool, lags: list[int]) -> str:
    """What a prompt says about its window; `summary` is its minimum, maximum and median."""
    low, high, median = summary
    trend = "upward" if upward else "downward"
    if style == "paper":
        return (
            f"min value {low}, max value {high}, median value {median}, the trend of input is {trend},"
            f" top {len(lags)} lags are : {lags}<|<end_prompt>|>"
        )
    return f"min {low} max {high} median {median} trend {trend} lags {' '.join(map(str, lags))}"


def digits(value: float, significant: int) -> str:
    """The number with that many significant digits; 0 means all it has."""
    return f"{value:.{significant}g}" if significant else str(value)
