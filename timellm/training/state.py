"""Where training stands, on disk: enough to go on as if nothing had happened, to the last bit on a CPU.

One safetensors file holds the trained weights, the optimiser's moments and the random state; its header says the step,
the best so far, and which training it belongs to. It is written whole or not at all, and nothing is unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from timellm.errors import CheckpointError
from timellm.workspace import write_whole

STATE = "training_state.safetensors"
_EVERY_S = 20.0
_COST = 0.02  # of the time may go into writing the state


def has_state(run_dir: Path) -> bool:
    """Whether training in this folder was interrupted and can go on."""
    return (run_dir / STATE).is_file()


@dataclass
class Standing:
    """How far training is, apart from weights and moments."""

    step: int = 0
    best: float = math.inf
    """Lowest validation error so far."""
    best_step: int = 0
    without_gain: int = 0
    """Validations since then."""
    validated: int = 0
    """Validations that were due so far."""
    validated_step: int = 0
    """Step of the last validation, which is not made again when training goes on there."""
    seconds: float = 0.0
    """Spent on training, interruptions left out."""
    recent: list[float] = field(default_factory=list)
    """Losses of the last steps."""


class StateFile:
    """The state of one training in a run's folder.

    `belongs_to` is a text that must be the same when training goes on: the configuration it was started with.
    """

    def __init__(self, run_dir: Path, *, belongs_to: str) -> None:
        self.path = run_dir / STATE
        self._key = hashlib.sha256(belongs_to.encode()).hexdigest()
        self._written, self._took = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether it is time to write: rarely enough that a slow disk costs little."""
        return time.monotonic() - self._written >= max(_EVERY_S, self._took / _COST)

    def write(self, network: nn.Module, optimizer: torch.optim.Optimizer, standing: Standing) -> None:
        """Write the state.

        Raises:
            OSError: the disk is full; the state before stays.
        """
        begin = time.monotonic()
        tensors = {f"weight.{name}": weight for name, weight in network.state_dict().items()}
        for name, parameter in network.named_parameters():
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = value
        tensors |= {f"random.{name}": state for name, state in _random_states().items()}
        header = {"belongs_to": self._key, "standing": json.dumps(asdict(standing))}
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        write_whole(self.path, lambda path: _save(plain, path, header))
        self._written = time.monotonic()
        self._took = self._written - begin

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Standing:
        """Put a written state back into place; a fresh `Standing` if there is none.

        Raises:
            CheckpointError: the file is damaged, or belongs to a training with other settings.
        """
        if not self.path.is_file():
            return Standing()
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
            standing = Standing(**json.loads(header["standing"]))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} is damaged ({error}); delete it, and the run starts again from its beginning"
            ) from error
        if header.get("belongs_to") != self._key:
            raise CheckpointError(
                f"{self.path} belongs to a training with other settings or another table; use a new folder, or"
                " delete it"
            )
        try:
            network.load_state_dict(_part(tensors, "weight."))
            _restore_optimizer(optimizer, dict(network.named_parameters()), _part(tensors, "optimizer."))
            _restore_random(_part(tensors, "random."))
        except (RuntimeError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} does not fit this run: {' '.join(str(error).split())[:300]}; delete it to start again"
            ) from error
        return standing

    def remove(self) -> None:
        """Training is over and will not go on."""
        self.path.unlink(missing_ok=True)


def _save(tensors: dict[str, Tensor], path: Path, header: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata=header)
    except SafetensorError as error:  # the library has one error for everything; a full disk is the user's to mend
        if f"os error {errno.ENOSPC}" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], tensors: dict[str, Tensor]
) -> None:
    for name, tensor in tensors.items():
        key, parameter = name.split(".", 1)
        weight = parameters[parameter]
        optimizer.state[weight][key] = tensor.to(weight.device)


def _random_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_random(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
