"""PatchTST: the library's network for one channel."""

from __future__ import annotations

import pytest
import torch

from tests.forecasters.networks import CONTEXT, seeded
from timellm.config import PatchTSTConfig
from timellm.errors import ConfigError
from timellm.forecasters.patchtst import PatchTST


def test_forecast_moves_and_grows_with_its_window():
    network = seeded("patchtst").double().eval()
    context = 10 * torch.randn(4, CONTEXT, dtype=torch.float64).cumsum(dim=1)
    with torch.inference_mode():
        expected = 5 * network(context) - 300
        torch.testing.assert_close(network(5 * context - 300), expected, rtol=1e-6, atol=1e-5)


def test_head_reads_every_patch():
    network = seeded("patchtst").eval()
    patches = (CONTEXT - 8) // 4 + 1
    assert network.network.head.projection.in_features == 8 * patches
    position = network.network.model.encoder.positional_encoder.position_enc
    assert position.shape == (patches, 8) and position.requires_grad and position.abs().max() <= 0.02


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch_length": 40}, "'patch_length' is 40, but the context has only 40 rows .* at most 39"),
        ({"patch_length": 4, "stride": 5}, "'stride' is 5 and skips rows between patches of 4; use at most 4"),
        ({"heads": 3}, "'heads' is 3, which does not divide d_model 64"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        PatchTST(PatchTSTConfig(**settings), context=CONTEXT, horizon=6)
