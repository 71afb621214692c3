"""Reprogramming attention with dropout is the library's, and the fused kernel is the written-out formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from timellm.forecasters.time_llm.fast.dropout import attention_with_dropout
from timellm.forecasters.time_llm.reprogramming import Reprogramming


def given(heads: int, rows: int, size: int) -> torch.Tensor:
    return torch.randn(heads, rows, size, generator=torch.Generator().manual_seed(rows))


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_dropout_leaves_out_its_share_and_keeps_the_sum(dropout):
    torch.manual_seed(0)
    query, key = given(2, 200, 4), given(2, 333, 4)
    # With the identity as values the result is the weights themselves.
    weights = attention_with_dropout(query, key, torch.eye(333).expand(2, -1, -1), dropout)
    kept = weights != 0
    assert (~kept).float().mean().item() == pytest.approx(dropout, abs=0.005)
    whole = F.softmax(query @ key.transpose(1, 2) / 2, dim=-1) / (1 - dropout)
    torch.testing.assert_close(weights[kept], whole[kept], rtol=1e-4, atol=1e-7)
    assert weights.sum(-1).mean().item() == pytest.approx(1, abs=0.02)
    assert not torch.equal(kept[0], kept[1])


def test_dropout_gradient_is_that_of_the_weights_that_stayed():
    query, key, value = given(1, 3, 4).double(), given(1, 6, 4).double(), given(1, 5 + 1, 4).double()

    def seeded(query, key, value):
        torch.manual_seed(3)
        return attention_with_dropout(query, key, value, 0.3)

    inputs = [tensor.clone().requires_grad_() for tensor in (query, key, value)]
    assert torch.autograd.gradcheck(seeded, inputs)


def test_training_without_dropout_and_evaluation_agree_with_the_weights_that_are_shown():
    torch.manual_seed(0)
    module = Reprogramming(d_model=8, heads=2, keys=4, width=12, dropout=0.0)
    patches, prototypes = torch.randn(3, 5, 8), torch.randn(7, 12)
    weights_BhPV = module.attention(patches, prototypes_VD=prototypes)
    value_hVK = module.value(prototypes).unflatten(-1, (2, -1)).transpose(0, 1)
    shown = module.out((weights_BhPV @ value_hVK).transpose(1, 2).flatten(2))
    for mode in (True, False):
        torch.testing.assert_close(module.train(mode)(patches, prototypes_VD=prototypes), shown)
