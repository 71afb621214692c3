"""Auto-correlation, which Autoformer has in the place of attention (Wu et al., NeurIPS 2021, section 3.2).

Inputs: hidden states of queries and of keys. Outputs: hidden states at the queries: the values, moved by the delays at
which queries and keys are most alike, and added up.

Delays are chosen for each window on its own, in training as in forecasts. The published code chooses them for the batch
as a whole while it trains, to be fast; a window's gradient would then depend on the other windows of its batch. It has
heads, too, but averages over them before it chooses, so that their number changes nothing: here there are none.

Shapes: B batch, L length of the queries, S length of the keys, M d_model, K delays.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class AutoCorrelation(nn.Module):
    """One layer with its four linear maps; `factor` times the logarithm of the length is the number of delays."""

    def __init__(self, d_model: int, *, factor: float):
        super().__init__()
        self.factor = factor
        self.query, self.key, self.value, self.output = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, queries_BLM: Tensor, keys_BSM: Tensor) -> Tensor:
        """[B, L, M] and [B, S, M] -> [B, L, M].

        Keys are cut after L rows, or filled up with zeros, as in the published code.
        """
        length = queries_BLM.shape[1]
        query_BLM = self.query(queries_BLM)
        key_BLM, value_BLM = (_of_length(part(keys_BSM), length) for part in (self.key, self.value))
        count = min(length, max(1, int(self.factor * math.log(length))))
        correlation_BK, delay_BK = correlation(query_BLM, key_BLM).topk(count, dim=1)
        return self.output(aggregate(value_BLM, delay_BK, weight_BK=correlation_BK.softmax(dim=1)))


def correlation(query_BLM: Tensor, key_BLM: Tensor) -> Tensor:
    """[B, L]: for each delay d, the mean over channels of sum_t query[t + d] key[t], rows counted round the end.

    Equation 6 of the paper, by the Wiener-Khinchin theorem: a product of spectra. The mean over channels is taken
    before the spectrum is turned back, which is one transform for each window and not one for each channel.
    """
    query_BFM, key_BFM = (torch.fft.rfft(states, dim=1) for states in (query_BLM, key_BLM))
    return torch.fft.irfft((query_BFM * key_BFM.conj()).mean(dim=2), n=query_BLM.shape[1], dim=1)


def aggregate(value_BLM: Tensor, delay_BK: Tensor, *, weight_BK: Tensor) -> Tensor:
    """[B, L, M]: at each row t, the sum over k of weight[k] value[t + delay[k]], rows counted round the end.

    Equation 7 of the paper, also by a product of spectra: that costs the same for any number of delays.
    """
    length = value_BLM.shape[1]
    weight_BL = torch.zeros_like(value_BLM[..., 0]).scatter(1, delay_BK, weight_BK)
    moved_BF1 = torch.fft.rfft(weight_BL, dim=1).conj().unsqueeze(2)
    return torch.fft.irfft(torch.fft.rfft(value_BLM, dim=1) * moved_BF1, n=length, dim=1)


def _of_length(states_BSM: Tensor, length: int) -> Tensor:
    missing = length - states_BSM.shape[1]
    return nn.functional.pad(states_BSM, (0, 0, 0, missing)) if missing > 0 else states_BSM[:, :length]
