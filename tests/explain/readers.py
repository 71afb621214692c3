"""A reader of attention on random weights, and the tests' hourly table made ready for it: no training, no backbone."""

from __future__ import annotations

import torch

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.explain.reader import AttentionReader
from timellm.forecasters.time_llm.patching import PatchEmbedding
from timellm.forecasters.time_llm.reprogramming import Reprogramming

_WIDTH = 16


def config_of(csv, **changes) -> RunConfig:
    """A run of 8 patches, 2 heads and 20 prototypes."""
    settings = {"context": 48, "horizon": 12, "d_model": 8, "d_ff": 4, "heads": 2, "prototypes": 20, "stride": 6}
    return RunConfig.create(csv, **(settings | {"patch_length": 12} | changes))


def reader_of(config: RunConfig, *, seed: int = 0, words: list[list[str]] | None = None) -> AttentionReader:
    """A reader whose weights follow from `seed`."""
    torch.manual_seed(seed)
    model = config.model
    embedding = PatchEmbedding(patch_length=model.patch_length, stride=model.stride, d_model=model.d_model, dropout=0.0)
    attention = Reprogramming(
        d_model=model.d_model, heads=model.heads, keys=model.d_ff, width=_WIDTH, dropout=0.0,
        cosine=model.attention_scores == "cosine",
    )  # fmt: skip
    tensors = {f"patch_embedding.{name}": tensor for name, tensor in embedding.state_dict().items()}
    tensors |= {f"reprogramming.{name}": tensor for name, tensor in attention.state_dict().items()}
    words = words or [[f"word{number}", "other"] for number in range(model.prototypes)]
    return AttentionReader(model, tensors, prototypes_VD=torch.randn(model.prototypes, _WIDTH), words=words)


def prepared_of(config: RunConfig) -> PreparedData:
    """Its table."""
    return PreparedData.of(load_table(config.data), config)
