"""A series divided into a smooth trend and the rest, by a moving average: a part of DLinear and of Autoformer.

Inputs: series on the device, and the length of the average. Outputs: two series of the same length.

Shapes: B batch, L length, M channels of a hidden state.
"""

from __future__ import annotations

import torch
from torch import Tensor

from timellm.errors import ConfigError


def decompose(series_BLM: Tensor, *, moving_average: int) -> tuple[Tensor, Tensor]:
    """(seasonal, trend), both [B, L, M], which add up to the series (Wu et al., NeurIPS 2021, equation 1).

    The trend is the average over an odd number of rows around each row. Beyond both ends, the first and the last value
    are repeated, as in the published code.
    """
    beyond = moving_average // 2
    first, last = (series_BLM[:, end].unsqueeze(1).expand(-1, beyond, -1) for end in (0, -1))
    trend_BLM = _moving_sum(torch.cat([first, series_BLM, last], dim=1), moving_average) / moving_average
    return series_BLM - trend_BLM, trend_BLM


def _moving_sum(series_BLM: Tensor, rows: int) -> Tensor:
    """[B, L - rows + 1, M]: the sum of every `rows` rows.

    Sums of 2, 4, 8 ... rows are made of one another, and those that `rows` is made of are added up: 6 additions for 25
    rows. With the library's average pooling, a training step of Autoformer takes twice as long on a CPU.
    """
    length = series_BLM.shape[1] - rows + 1
    sums_BLM, count, begin = series_BLM, 1, 0
    total_BLM: Tensor | None = None
    while count <= rows:
        if rows & count:
            part_BLM = sums_BLM[:, begin : begin + length]
            total_BLM = part_BLM if total_BLM is None else total_BLM + part_BLM
            begin += count
        if 2 * count <= rows:
            sums_BLM = sums_BLM[:, :-count] + sums_BLM[:, count:]
        count *= 2
    assert total_BLM is not None
    return total_BLM


def check_moving_average(moving_average: int, *, context: int) -> None:
    """Make sure that a moving average has a middle row, and fits into the context.

    Raises:
        ConfigError: says what it is, and what to set.
    """
    if moving_average % 2 == 0:
        raise ConfigError(
            f"setting 'moving_average' is {moving_average}, but the average needs a row in its middle; use an odd"
            f" number, such as {moving_average + 1}"
        )
    if moving_average > context:
        largest = context - (context % 2 == 0)
        raise ConfigError(
            f"setting 'moving_average' is {moving_average}, but the context has only {context} rows; use at most"
            f" {largest}, or raise 'context'"
        )
