"""The preset `6gb` on a random backbone of the size of Qwen2.5-3B: estimated and measured memory, on the CPU.

    python -m benchmarks.low_memory --folder FOLDER [--set accumulation=8 ...]

Writes the backbone into FOLDER (3.4 GB on disk) unless it is there: the shape of Qwen2.5-3B, and weights for the 18 of
its 36 layers that the preset uses. Its tokenizer is that of SmolLM2, which has fewer words. Two training steps and one
validation are then made in a fresh process. Forecasts mean nothing; memory and arithmetic are those of real weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer, Qwen2Config

from timellm.config import RunConfig, parse_setting
from timellm.data.samples import find_sample
from timellm.data.table import load_table
from timellm.forecasters.time_llm.backbone import locate
from timellm.presets import find_preset
from timellm.sizing.estimate import Surroundings, estimate
from timellm.sizing.machine import measured_facts
from timellm.sizing.table import TableSize
from timellm.sizing.trial import trial

_SAMPLE = find_sample("melbourne-pedestrians")
# As the model's card and configuration give them.
_SHAPE = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
}


def write_backbone(folder: Path, *, layers: int) -> None:
    """Random weights of `layers` layers in bfloat16, one shard a gigabyte, and a configuration that tells of them."""
    config = Qwen2Config(**_SHAPE, num_hidden_layers=layers, dtype="bfloat16")
    torch.manual_seed(0)
    model = AutoModel.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="1GB")
    AutoTokenizer.from_pretrained(locate("smollm2-135m")).save_pretrained(folder)


def main() -> None:
    """Write, estimate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    preset = find_preset("6gb")
    if not (options.folder / "config.json").is_file():
        write_backbone(options.folder, layers=preset.settings["layers"])
    config = preset.over(RunConfig.create(_SAMPLE.path, description=_SAMPLE.description))
    changed = dict(parse_setting(text) for text in options.settings)
    config = config.updated(backbone=str(options.folder.resolve()), device="cpu", **changed)
    table = load_table(config.data)
    around = Surroundings(TableSize(len(table.values), len(table.channels)), measured_facts())
    counted, found = estimate(config, around), trial(config)
    print(f"estimated {counted.memory_mib:,.0f} MiB: {counted.memory}")
    if found.memory_mib is None:
        raise SystemExit(f"{found.ending}: {found.cause}")
    print(f"measured {found.memory_mib:,.0f} MiB, so the estimate is {counted.memory_mib / found.memory_mib - 1:+.0%}")
    print(f"loading {found.loading_s:,.0f} s, a step {found.step_s:,.1f} s")
    print(f"a window without gradient {found.window_s:.2f} s")


if __name__ == "__main__":
    main()
