"""What a run of Time-LLM keeps beside its weights: the names of the files, and the settings of its linear path.

Who reads them needs no language model, nor the libraries of one.
"""

from __future__ import annotations

from timellm.config import RunConfig

PROTOTYPES, WORDS = "prototypes.safetensors", "words.json"
DICTIONARY, START = "dictionary.json", "prototypes_start.safetensors"
LINEAR_PATH = "linear_path.safetensors"


def path_config(config: RunConfig) -> RunConfig:
    """The linear path of a run as a run of its own."""
    model = config.model
    settings = ("linear_features", "linear_maps", "linear_fallback", "linear_others", "linear_penalty")
    return config.updated(kind="ridge", **{name: getattr(model, name) for name in settings})
