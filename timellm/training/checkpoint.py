"""The trained part of a run on disk: `config.json` and `adapter.safetensors`, each written whole or not at all.

What trains is what the network registers, and exactly that is saved; the frozen backbone never is. Nothing is ever
unpickled. Settings, table, scale and what is known ahead are written before training and never changed, so the weights'
file keeps the digests of theirs: weights are not read beside a table, scale or setting that they were not trained with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from timellm.config import RunConfig
from timellm.errors import CheckpointError, ConfigError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.workspace import write_whole

CONFIG = "config.json"
ADAPTER = "adapter.safetensors"
KNOWN, KNOWN_COLUMNS, EFFECTS = "known.parquet", "known.json", "known_effects.json"
START_ADAPTER = "start_adapter.safetensors"
"""What was taken of adapters at which training began (timellm.forecasters.started)."""
COMPANIONS = ("table.parquet", "table.json", "scaler.json", KNOWN, KNOWN_COLUMNS, EFFECTS, START_ADAPTER)
_REMEDY = "put back what was there, or train the run again"


def save_config(run_dir: Path, config: RunConfig) -> None:
    """Write the run's configuration."""
    write_whole(run_dir / CONFIG, lambda path: path.write_text(config.to_json(), encoding="utf-8"))


def load_config(run_dir: Path) -> RunConfig:
    """Read a run's configuration.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = run_dir / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"{run_dir} holds no {CONFIG}, so it is not a run folder; name the folder a fit has written"
        )
    try:
        return RunConfig.from_json(path.read_text(encoding="utf-8"))
    except (ConfigError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged or from another version: {error}") from error


def save_adapter(run_dir: Path, network: nn.Module) -> None:
    """Write every trained tensor of `network`."""
    write_adapter(run_dir, network.state_dict())


def write_adapter(run_dir: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write trained tensors, with what they belong to."""
    write_tensors(run_dir / ADAPTER, tensors, facts=companions(run_dir))


def read_adapter(run_dir: Path) -> dict[str, Tensor]:
    """The trained tensors of a run, on the CPU.

    Raises:
        CheckpointError: there are none yet, the file is damaged, or what lies beside it was changed.
    """
    path = run_dir / ADAPTER
    if not path.is_file():
        raise CheckpointError(
            f"{run_dir} holds no {ADAPTER}: the run ended before its first validation; train it again"
        )
    tensors, facts = read_tensors(path, remedy=_REMEDY)
    check_companions(run_dir, facts)
    return tensors


def companions(run_dir: Path) -> dict[str, str]:
    """The settings, and digests of table and scale, that trained weights belong to.

    A file is read once and again only when it was changed: this is called at every checkpoint, and tables are large.
    """
    facts = {name: _known_digest(run_dir / name) for name in COMPANIONS if (run_dir / name).is_file()}
    if (run_dir / CONFIG).is_file():
        facts[CONFIG] = load_config(run_dir).to_json()
    return facts


def _known_digest(path: Path) -> str:
    found = path.stat()
    return _digest_of_version(path.absolute(), (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=4 * len(COMPANIONS))
def _digest_of_version(path: Path, version: tuple[int, int, int]) -> str:
    """`version` tells one content of the file from another."""
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_companions(run_dir: Path, facts: Mapping[str, str]) -> None:
    """Compare the files of a run's folder with those that its weights were trained with.

    Raises:
        CheckpointError: settings, table or scale were changed or are missing; says which and what to do.
    """
    for name in COMPANIONS:
        if name not in facts:
            continue
        if not (run_dir / name).is_file():
            raise CheckpointError(f"{run_dir / name} is missing, with which the weights were trained; {_REMEDY}")
        if _digest(run_dir / name) != facts[name]:  # what lies there now, whatever was known before
            raise CheckpointError(f"{run_dir / name} was changed after the weights were trained with it; {_REMEDY}")
    if CONFIG in facts:
        _check_settings(run_dir, facts[CONFIG])


def _check_settings(run_dir: Path, trained_with: str) -> None:
    found = load_config(run_dir)
    try:  # where a run lies and works does not change what it learned
        changed = found.changes(RunConfig.from_json(trained_with), "windows", "weights", "speed")
    except ConfigError as error:
        raise CheckpointError(f"{run_dir / ADAPTER} is from another version: {error}; train the run again") from error
    for name, (now, then) in changed.items():
        moved = name == "backbone" and Path(now).name == Path(then).name  # a folder may lie elsewhere today
        if not moved:
            raise CheckpointError(
                f"{run_dir / CONFIG} says {name}={now!r}, but the weights were trained with {then!r}; {_REMEDY}"
            )


def load_adapter(run_dir: Path, network: nn.Module) -> None:
    """Put a run's trained tensors into `network`.

    Raises:
        CheckpointError: the file is missing or damaged, or holds tensors of another shape.
    """
    try:
        network.load_state_dict(read_adapter(run_dir))
    except RuntimeError as error:
        raise CheckpointError(
            f"{run_dir / ADAPTER} does not fit its {CONFIG}: {' '.join(str(error).split())[:300]}"
        ) from error


def device_of(setting: str) -> torch.device:
    """The device a configuration means.

    Raises:
        ConfigError: it needs a GPU and there is none.
    """
    if setting == "cuda" and not torch.cuda.is_available():
        raise ConfigError("setting 'device' is 'cuda', but PyTorch finds no GPU here; use 'cpu' or 'auto'")
    return torch.device("cuda" if setting != "cpu" and torch.cuda.is_available() else "cpu")
