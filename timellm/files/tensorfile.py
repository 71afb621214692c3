"""Tensors in a safetensors file whose header holds a digest, so that a single changed bit is found.

Inputs and outputs: tensors by name, and facts about them as texts. A digest finds damage and careless changes, not a
forger, who can write another digest. A file is written whole or not at all, and never unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from timellm.errors import CheckpointError
from timellm.workspace import write_whole

_DIGEST = "sha256"
_PICKLES = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], *, facts: Mapping[str, str]) -> None:
    """Write tensors, from whatever device, with facts about them.

    Raises:
        OSError: the disk is full; the file before stays.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {**facts, _DIGEST: _digest(plain, facts)}
    write_whole(path, lambda scratch: _save(plain, scratch, header))


def read_tensors(path: Path, *, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, on the CPU, and the facts about them; `remedy` says what to do about a damaged one.

    A file without any facts, as earlier versions wrote them, is taken as it is.

    Raises:
        CheckpointError: the file is cut short or changed, or is something else, such as a pickle.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
    except (SafetensorError, ValueError) as error:
        if path.open("rb").read(2) in _PICKLES:
            raise CheckpointError(
                f"{path} is a pickle under a familiar name; reading it could run code, so it was not read; {remedy}"
            ) from error
        raise CheckpointError(f"{path} is damaged ({error}); {remedy}") from error
    if not header:
        return tensors, header
    digest = header.pop(_DIGEST, None)
    if digest != _digest(tensors, header):
        raise CheckpointError(
            f"{path} is damaged (its content is not what was written: the digest in its header differs); {remedy}"
        )
    return tensors, header


def _digest(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _save(tensors: dict[str, Tensor], path: Path, header: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata=header)
    except SafetensorError as error:  # the library has one error for everything; a full disk is the user's to mend
        if f"os error {errno.ENOSPC}" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
