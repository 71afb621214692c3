"""Autoformer: auto-correlation is what its definition says, and the layers pass the season on and add up the trends."""

from __future__ import annotations

import math

import pytest
import torch

from timellm.config import AutoformerConfig
from timellm.errors import ConfigError
from timellm.forecasters.autocorrelation import AutoCorrelation, aggregate, correlation
from timellm.forecasters.autoformer import Autoformer


@pytest.mark.parametrize("length", [12, 13])
def test_correlation_is_the_mean_of_rolled_products(length):
    query, key = torch.randn(2, 3, length, 4, dtype=torch.float64)
    rolled = [(query.roll(-delay, dims=1) * key).sum(dim=1).mean(dim=1) for delay in range(length)]
    torch.testing.assert_close(correlation(query, key), torch.stack(rolled, dim=1))


@pytest.mark.parametrize("length", [12, 13])
def test_aggregation_is_the_weighted_sum_of_rolled_values(length):
    value = torch.randn(2, length, 3, dtype=torch.float64)
    delay, weight = torch.tensor([[0, 5, 11], [3, 2, 7]]), torch.rand(2, 3, dtype=torch.float64)
    expected = [
        sum(weight[window, k] * value[window].roll(-int(delay[window, k]), dims=0) for k in range(3))
        for window in range(2)
    ]
    torch.testing.assert_close(aggregate(value, delay, weight_BK=weight), torch.stack(expected))


@pytest.mark.parametrize("keys", [10, 20, 30])
def test_layer_equals_its_definition_for_keys_of_any_length(keys):
    torch.manual_seed(0)
    layer = AutoCorrelation(4, factor=1.5).double()
    queries, states = torch.randn(2, 20, 4, dtype=torch.float64), torch.randn(2, keys, 4, dtype=torch.float64)
    expected = []
    for query, state in zip(queries, states, strict=True):
        filled = [torch.cat([part(state), torch.zeros(20, 4)])[:20] for part in (layer.key, layer.value)]
        key, value = filled
        scores = torch.stack([(layer.query(query).roll(-d, dims=0) * key).sum(dim=0).mean() for d in range(20)])
        best = scores.argsort(descending=True)[: int(1.5 * math.log(20))]
        weight = scores[best].softmax(dim=0)
        moved = sum(w * value.roll(-int(d), dims=0) for w, d in zip(weight, best, strict=True))
        expected.append(layer.output(moved))
    torch.testing.assert_close(layer(queries, states), torch.stack(expected))


def test_periodic_series_is_correlated_at_its_period():
    rows = torch.arange(48, dtype=torch.float64)
    series = torch.sin(rows * 2 * math.pi / 12)[None, :, None]
    assert set(correlation(series, series)[0].topk(4).indices.tolist()) == {0, 12, 24, 36}


def test_network_without_seasonal_output_continues_the_mean():
    network = Autoformer(AutoformerConfig(d_model=8, d_ff=16, moving_average=5), context=24, horizon=6).eval()
    for weight in (network.projection.weight, network.projection.bias, network.decoder[0].trend.weight):
        torch.nn.init.zeros_(weight)
    context = torch.randn(3, 24)
    torch.testing.assert_close(network(context), context.mean(dim=1, keepdim=True).expand(-1, 6))


def test_moving_average_longer_than_the_context_is_refused():
    with pytest.raises(ConfigError, match="'moving_average' is 25, but the context has only 24 rows; use at most 23"):
        Autoformer(AutoformerConfig(d_model=8, d_ff=16), context=24, horizon=6)
