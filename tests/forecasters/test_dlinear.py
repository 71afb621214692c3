"""DLinear: two linear maps, of the trend and of the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from timellm.config import DLinearConfig
from timellm.errors import ConfigError
from timellm.forecasters.decomposition import decompose
from timellm.forecasters.dlinear import DLinear


@pytest.mark.parametrize("moving_average", [1, 3, 5, 15, 25, 29])
def test_trend_and_season_add_up_to_the_series(moving_average):
    series = torch.randn(3, 30, 2, dtype=torch.float64)
    seasonal, trend = decompose(series, moving_average=moving_average)
    torch.testing.assert_close(seasonal + trend, series, rtol=0, atol=1e-12)
    padded = np.pad(series.numpy(), ((0, 0), (moving_average // 2,) * 2, (0, 0)), mode="edge")
    expected = np.stack([padded[:, row : row + moving_average].mean(axis=1) for row in range(30)], axis=1)
    np.testing.assert_allclose(trend.numpy(), expected, atol=1e-12)


def test_network_starts_as_the_mean_of_the_context():
    network = DLinear(DLinearConfig(), context=60, horizon=4)
    for linear in (network.seasonal, network.trend):
        torch.nn.init.zeros_(linear.bias)
    context = torch.randn(5, 60)
    torch.testing.assert_close(network(context), context.mean(dim=1, keepdim=True).expand(-1, 4))


def test_network_represents_any_linear_map():
    weights, bias = torch.randn(7, 30, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    network = DLinear(DLinearConfig(), context=30, horizon=7).double()
    for linear in (network.seasonal, network.trend):
        linear.weight.data.copy_(weights)
    network.seasonal.bias.data.copy_(bias)
    network.trend.bias.data.zero_()
    context = torch.randn(9, 30, dtype=torch.float64)
    torch.testing.assert_close(network(context), context @ weights.T + bias)


@pytest.mark.parametrize(
    ("moving_average", "message"),
    [
        (24, "'moving_average' is 24, but the average needs a row in its middle.* 25"),
        (25, "'moving_average' is 25, but the context has only 16 rows; use at most 15"),
    ],
)
def test_moving_average_that_does_not_fit_is_refused(moving_average, message):
    with pytest.raises(ConfigError, match=message):
        DLinear(DLinearConfig(moving_average=moving_average), context=16, horizon=4)
