"""The trained part of a run on disk: `config.json` and `adapter.safetensors`, each written whole or not at all.

What trains is what the network registers, and exactly that is saved; the frozen backbone never is. Nothing is ever
unpickled.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from timellm.config import RunConfig
from timellm.errors import CheckpointError, ConfigError
from timellm.workspace import write_whole

CONFIG = "config.json"
ADAPTER = "adapter.safetensors"


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
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_whole(run_dir / ADAPTER, lambda path: path.write_bytes(save(tensors)))


def read_adapter(run_dir: Path) -> dict[str, Tensor]:
    """The trained tensors of a run, on the CPU.

    Raises:
        CheckpointError: there are none yet, or the file is damaged.
    """
    path = run_dir / ADAPTER
    if not path.is_file():
        raise CheckpointError(
            f"{run_dir} holds no {ADAPTER}: the run ended before its first validation; train it again"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged ({error}); train the run again") from error


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
        ConfigError: it asks for a GPU and there is none.
    """
    if setting == "cuda" and not torch.cuda.is_available():
        raise ConfigError("setting 'device' is 'cuda', but PyTorch finds no GPU here; use 'cpu' or 'auto'")
    return torch.device("cuda" if setting != "cpu" and torch.cuda.is_available() else "cpu")
