"""Named sets of settings, each for a machine or a purpose, to go over the defaults.

Sizes below are arithmetic, not measurements. W stands for the frozen weights; A for what one patch keeps in one layer
for the backward pass (counted with PyTorch's saved-tensor hooks on a frozen layer in bfloat16 with fused attention, 42
patches behind 64 prompt tokens, keys and values of both included); GB for 10^9 bytes. The default context of 336 rows
has 42 patches. Both GPU presets train 500 steps, with which the small backbone came near the published errors on ETTh1.

6 GB GPU. Qwen2.5-3B: 77.1 million weights a layer, in NF4 with double quantization (0.516 bytes) 40 MB; 18 of its 36
layers 0.72 GB, its 151,936 embeddings in 16 bits 0.62 GB: W = 1.34 GB. A = 112 kB: 32 windows at once would keep
32 x 42 x 18 x 112 kB = 2.7 GB, which with W, the CUDA context (about 0.7 GB) and a desktop fills the card; in parts of
8 windows they keep 0.7 GB. Evaluation holds the keys and values of 64 windows, 0.1 GB, and 0.3 GB of its prompt pass.
In all about 3 GB; a context of 1,000 rows takes 1.3 GB more. All 36 layers would fit, at twice the time. Parts cost no
arithmetic, so they come before gradient checkpointing, which would cost a third.

24 GB GPU. LLaMA 7B: 202.4 million weights a layer, in 16 bits 0.405 GB; 32 layers and 32,000 embeddings: W = 13.2 GB.
A = 157 kB: 32 windows at once would keep 6.8 GB, and 20 GB with a context of 1,000 rows; in parts of 8 they keep 1.7
and 5.0 GB. Evaluation of 64 windows holds 3.6 GB of keys and values. In all about 18 GB, or 21 GB with a context of
1,000. No quantization: it would free memory that is not needed here, and cost accuracy.

Paper. Time-LLM (ICLR'24, arXiv 2310.01728) on ETTh1, as its authors launch it (scripts/TimeLLM_ETTh1.sh and run_main.py
of their repository): LLaMA 7B with 32 layers, context 512, 1,000 prototypes mapped from the vocabulary, d_model 32,
d_ff 128, 8 heads, dropout 0.1, bfloat16, Adam with neither weight decay nor a limit on the gradient's norm, MSE. What
had to be read out of it, or differs (docs/fidelity.md has the places):
- A batch there is 24 windows of one channel, because the loader lists the windows of one channel after those of
  another. The script starts 8 processes, each with such a batch, and their gradients are averaged: 192 windows a step.
  Worked through in 16 parts it keeps 4 GB and fits a card of 24 GB too; the gradient is the same.
- The learning rate is 0.01 in name. The one-cycle schedule that should rise to it is built and never stepped, so that
  they train at 0.01 / 25 for two epochs, halved after each further one; a cosine from 4e-4 is the nearest here.
- The script allows 100 epochs and stops after ten without a lower validation error. The rate of the tenth is 1.6e-6, so
  there are ten here: of ETTh1's 56,231 training windows they are 2,930 steps, with a validation on all windows after
  each.
- Prompts are masked where they are padded. Theirs are not, so that a forecast there depends on its batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timellm.config import RunConfig, names_affecting
from timellm.errors import ConfigError

_OF_THE_USER = ("holiday_country", "dated_notes", "seed", "deepspeed", "pretrain_steps")
"""What the user knows of the data, and what is asked of a run."""
_GOVERNED = (
    "context",
    *(name for name in names_affecting("weights", "speed", section="forecaster") if name not in _OF_THE_USER),
    *(name for name in names_affecting("weights", "speed", section="training") if name not in _OF_THE_USER),
)


@dataclass(frozen=True)
class Preset:
    """A named set of settings."""

    name: str
    """What `--preset` takes."""
    title: str
    purpose: str
    """For whom and why, in a sentence."""
    settings: Mapping[str, Any]
    """The settings that differ from the defaults."""

    @property
    def governed(self) -> tuple[str, ...]:
        """Settings that choosing it decides: as it names them, or as they usually are.

        No preset touches what the data is, what is asked of a run (horizon, seed), nor where it works. What the user
        knows of the data (holidays, dated notes) stays, too, unless the preset names it.
        """
        return (*_GOVERNED, *(name for name in self.settings if name not in _GOVERNED))

    def over(self, usual: RunConfig) -> RunConfig:
        """`usual` with this preset's settings.

        Raises:
            ConfigError: they contradict a setting of `usual`.
        """
        return usual.updated(**self.settings)


PRESETS = (
    Preset(
        name="laptop",
        title="Laptop CPU",
        purpose="For any computer: a small backbone, a result within minutes, no GPU. These are the defaults.",
        settings={},
    ),
    Preset(
        name="6gb",
        title="6 GB GPU",
        purpose="For a small graphics card: half of a backbone of 3 billion weights, in 4 bits, and batches in parts.",
        settings={
            "backbone": "Qwen/Qwen2.5-3B",
            "layers": 18,
            "quantization": "4bit",
            "accumulation": 4,
            "steps": 500,
        },
    ),
    Preset(
        name="24gb",
        title="24 GB GPU",
        purpose="For a large graphics card: the paper's backbone, whole and unquantised, with the defaults around it.",
        settings={
            "backbone": "huggyllama/llama-7b",
            "layers": 32,
            "accumulation": 4,
            "steps": 500,
        },
    ),
    Preset(
        name="paper",
        title="Paper",
        purpose="To repeat the published recipe, oddities included. For a GPU of 24 GB or more, and hours. It clears "
        "holidays and dated notes.",
        settings={
            "backbone": "huggyllama/llama-7b",
            "layers": 32,
            "backbone_dtype": "bfloat16",
            "context": 512,
            "patch_length": 16,
            "stride": 8,
            "d_model": 32,
            "d_ff": 128,
            "heads": 8,
            "prototypes": 1000,
            "prototype_source": "map",
            "prototype_start": "map",
            "attention_scores": "dot",
            "linear_path": "none",
            "prompt_style": "paper",
            "statistic_digits": 0,
            "lags": "circular",
            "prompt_calendar": False,
            "prompt_known": False,
            "holiday_country": "",
            "dated_notes": "",
            "round_patches": True,
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "batch_size": 192,
            "accumulation": 16,
            "learning_rate": 4e-4,
            "schedule": "cosine",
            "optimizer": "adam",
            "loss": "mse",
            "clip_norm": 1e9,
            "steps": 2930,
            "validations": 10,
            "validation_windows": 1_000_000,
            "patience": 10,
        },
    ),
)


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise ConfigError(f"there is no preset '{name}'; there are {', '.join(preset.name for preset in PRESETS)}")
