"""What every room's tests share: a workspace of their own, and backbones small enough to train in a second."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from timellm.config import RunConfig


@pytest.fixture(autouse=True)
def own_workspace(tmp_path, monkeypatch):
    """No test writes into the project's own runs or uploads."""
    monkeypatch.setenv("TIMELLM_HOME", str(tmp_path))


@pytest.fixture
def table(tmp_path):
    """A CSV file of 900 hours of two channels, one value missing."""
    hours = pd.date_range("2024-01-01", periods=900, freq="h")
    daily = np.sin(np.arange(900) * 2 * np.pi / 24)
    frame = pd.DataFrame({"date": hours, "load": 50 + 10 * daily, "price": 20 + daily})
    frame.loc[7, "price"] = np.nan
    path = tmp_path / "plant.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def disk_of(tmp_path):
    """Makes a disk of so many MiB; skips the test where none can be mounted."""
    places: list[Path] = []

    def mount(size_mib: int) -> Path:
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(place)]
        mounted = subprocess.run(command, capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"needs the right to mount a small disk: {mounted.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def make_backbone(folder: Path, architecture: str, **changes) -> Path:
    """Write a random backbone of 3 layers and width 32 with a tokenizer of its own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    text = (
        "Input statistics: min value -1.25, max value 2.5, median value 0.5, the trend of input is upward downward lags"
    )
    tokenizer.train_from_iterator(
        [text] * 3,
        trainers.BpeTrainer(
            vocab_size=320, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    settings = {
        "llama": {"num_key_value_heads": 2, "max_position_embeddings": 2048},
        "qwen2": {"num_key_value_heads": 2, "max_position_embeddings": 2048},
        "gpt2": {"n_positions": 1024},
        "bert": {"max_position_embeddings": 512},
    }[architecture]
    common = {"vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    if architecture != "gpt2":
        common["intermediate_size"] = 64
    torch.manual_seed(0)
    # Weights well above the usual 0.02: of a nearly linear network, a wrong gradient would go unnoticed.
    config = AutoConfig.for_model(architecture, **common, **settings, initializer_range=0.2, **changes)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def backbones(tmp_path_factory) -> dict[str, Path]:
    """A folder for each architecture."""
    return {name: make_backbone(tmp_path_factory.mktemp(name), name) for name in ("llama", "qwen2", "gpt2", "bert")}


@pytest.fixture(scope="session")
def tiny_backbone(backbones) -> Path:
    """A causal backbone that loads in milliseconds."""
    return backbones["llama"]


@pytest.fixture(scope="session")
def hourly_csv(tmp_path_factory) -> Path:
    """Two hourly channels of 400 rows with a daily rhythm and a little noise."""
    rows = np.arange(400)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, len(rows)))
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=len(rows), freq="h"),
            "load": 100 + 10 * (np.sin(rows * 2 * np.pi / 24) + noise[0]),
            "price": 50 + 5 * (np.cos(rows * 2 * np.pi / 24) + noise[1]),
        }
    )
    path = tmp_path_factory.mktemp("tables") / "hourly.csv"
    frame.to_csv(path, index=False)
    return path


SMALL = {
    "layers": 2,
    "context": 48,
    "horizon": 12,
    "d_model": 8,
    "d_ff": 8,
    "heads": 2,
    "prototypes": 20,
    "steps": 8,
    "batch_size": 8,
    "validations": 2,
    "validation_windows": 16,
    "linear_path": "none",
}
"""A run of a second on real parts. Without a linear path, because with one no step of so short a training is kept."""


@pytest.fixture
def small_config(hourly_csv, tiny_backbone) -> RunConfig:
    """A small run on the hourly table."""
    return RunConfig.create(hourly_csv, backbone=str(tiny_backbone), **SMALL)
