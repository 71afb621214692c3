"""The training state on disk: enough to resume to the same weights, to the last bit on a CPU.

One safetensors file holds the trained weights, the optimiser's moments and the random state; its header says the step,
the best so far, and which training it belongs to. It is written whole or not at all, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from timellm.config import RunConfig
from timellm.errors import CheckpointError, ConfigError
from timellm.files.tensorfile import read_tensors, write_tensors
from timellm.json_text import parse_json
from timellm.training.checkpoint import CONFIG, check_companions, companions, read_adapter, write_adapter
from timellm.training.processes import from_main, gathered, is_sharded
from timellm.training.zero import moments, restore_moments

log = logging.getLogger(__name__)

STATE = "training_state.safetensors"
_EVERY_S = 20.0
_REMEDY = "delete it, and the run starts again from its beginning"
_COST = 0.02  # of the time may go into writing the state
_VERSION, _CONFIG, _RULES, _POSITION = "version", "settings", "rules", "standing"
_CONFIG_1 = CONFIG
"""Where the header of the first version has the settings: as every file of trained weights does."""


def has_state(run_dir: Path) -> bool:
    """Whether training in this folder was interrupted and can be resumed."""
    return (run_dir / STATE).is_file()


def remove_state(run_dir: Path) -> None:
    """Remove the state: training is over, and all that it shows is written."""
    (run_dir / STATE).unlink(missing_ok=True)


@dataclass
class TrainingPosition:
    """How far a training is, apart from weights and moments."""

    step: int = 0
    best: float = math.inf
    """What the weights that are kept were judged by (timellm.training.choice): MSE, and with quantiles their loss."""
    best_step: int = 0
    best_error: float = math.inf
    """MSE of the weights that are kept; infinite in a state of an earlier version, which had no quantiles."""
    share: float = 1.0
    """Share of what step `best_step` added that they add; 0 with its quantiles alone."""
    lowest: float = math.inf
    """Lowest validation error so far, also of weights that are not surely better than those that are kept."""
    without_gain: int = 0
    """Validations since the lowest one; some count twice (timellm.training.loop)."""
    gained: float | None = None
    """By how much the losses of the steps since the last validation are, in sum, below those of the forecasts to which
    the network adds; None if it adds to none."""
    validated: int = 0
    """Validations that were due so far."""
    validated_step: int = 0
    """Step of the last validation, which is not made again when training goes on there."""
    seconds: float = 0.0
    """Spent on training, interruptions left out."""
    recent: list[float] = field(default_factory=list)
    """Losses of the last steps."""
    start: list[float] = field(default_factory=list)
    """What each window was judged by before the first step, if the training began with a validation."""


@dataclass(frozen=True)
class Belonging:
    """What must be the same when training goes on."""

    config: RunConfig
    rules: str = ""
    """Rules that decide the windows and that earlier versions did not have; empty where none applies."""

    def differs_from(self, header: Mapping[str, str]) -> str | None:
        """How a state with this header differs; None if it belongs to the same training.

        A run may go on where its table lies elsewhere, on another device, or where another tracker is there.
        """
        if _VERSION not in header:
            return self._differs_from_1(header)
        changed = self.config.changes(RunConfig.from_json(header[_CONFIG]), "windows", "weights", "speed")
        if changed:
            return ", ".join(f"{name} was {then!r} and is {now!r}" for name, (now, then) in changed.items())
        return None if header[_RULES] == self.rules else "its windows are cut differently now"

    def _differs_from_1(self, header: Mapping[str, str]) -> str | None:
        """As `differs_from`, for the first version, which kept a digest of its settings without their places."""
        tree = parse_json(header[_CONFIG_1])
        for section, name, place in (("data", "path", ""), ("model", "trust_remote_code", False),
                                     ("training", "tracker", "none")):  # fmt: skip
            tree[section][name] = place
        if _digest(json.dumps(tree, indent=2) + self.rules) != header.get("belongs_to"):
            return "an earlier version began it on windows that are now cut differently"
        changed = self.config.changes(RunConfig.from_json(header[_CONFIG_1]), "windows", "weights", "speed")
        return ", ".join(changed) or None


class StateFile:
    """The state of one training in a run's folder."""

    def __init__(self, run_dir: Path, belonging: Belonging) -> None:
        self.path = run_dir / STATE
        self._belonging = belonging
        self._written, self._took = time.monotonic(), 0.0

    def due(self) -> bool:
        """Whether it is time to write: rarely enough that a slow disk costs little."""
        return time.monotonic() - self._written >= max(_EVERY_S, self._took / _COST)

    def write(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        position: TrainingPosition,
        accelerator: Accelerator | None = None,
        *,
        best: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Write the state; all processes of a run call this, and the main one writes.

        `best` are weights to put back as the best so far when training goes on, because others take their place in the
        run's folder until then.

        Raises:
            OSError: the disk is full; the state before stays.
        """
        begin = time.monotonic()
        random = _random_states(accelerator)
        sharded = moments(optimizer, accelerator) if accelerator and is_sharded(accelerator) else {}
        if accelerator and not accelerator.is_main_process:
            return
        tensors = {f"weight.{name}": weight for name, weight in network.state_dict().items()}
        tensors |= {f"sharded.{name}": rows for name, rows in sharded.items()}
        for name, parameter in network.named_parameters():
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = value
        tensors |= {f"random.{name}": states for name, states in random.items()}
        tensors |= {f"best.{name}": weight for name, weight in best.items()}
        header = {
            _VERSION: "2",
            _CONFIG: self._belonging.config.to_json(),
            _RULES: self._belonging.rules,
            _POSITION: json.dumps(asdict(position)),
        }
        write_tensors(self.path, tensors, facts=header | companions(self.path.parent))
        self._written = time.monotonic()
        self._took = self._written - begin

    def restore(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, accelerator: Accelerator | None = None
    ) -> TrainingPosition:
        """Put a written state back into place in all processes of a run; a fresh `TrainingPosition` if there is none.

        With another number of processes than wrote it, dropout draws other numbers than it would have.

        Raises:
            CheckpointError: the file is damaged, or belongs to a training with other settings, table or windows.
        """
        found = from_main(accelerator, self._read) if accelerator else self._read()
        if found is None:
            return TrainingPosition()
        position, tensors = found
        try:
            network.load_state_dict(_part(tensors, "weight."))
            if accelerator and is_sharded(accelerator):
                restore_moments(optimizer, _part(tensors, "sharded."), accelerator)
            else:
                _restore_optimizer(optimizer, dict(network.named_parameters()), _part(tensors, "optimizer."))
            _restore_random(_part(tensors, "random."), accelerator)
        except (RuntimeError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{self.path} does not fit this run: {' '.join(str(error).split())[:300]}; delete it to start again"
            ) from error
        if (best := _part(tensors, "best.")) and (accelerator is None or accelerator.is_main_process):
            write_adapter(self.path.parent, best)
        return position

    def best_weights(self) -> dict[str, Tensor]:
        """The best weights so far, as the run's folder keeps them.

        Raises:
            CheckpointError: the file is missing or damaged.
        """
        return read_adapter(self.path.parent)

    def _read(self) -> tuple[TrainingPosition, dict[str, Tensor]] | None:
        if not self.path.is_file():
            return None
        tensors, header = read_tensors(self.path, remedy=_REMEDY)
        try:
            position = _position(parse_json(header[_POSITION], constants=True))
            differs = self._belonging.differs_from(header)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise CheckpointError(f"{self.path} is from another version ({error}); {_REMEDY}") from error
        if differs:
            raise CheckpointError(
                f"{self.path} belongs to a training with other settings or another table ({differs}); use a new folder,"
                " or delete it to start again"
            )
        check_companions(self.path.parent, header)
        return position, tensors


def _position(tree: dict[str, Any]) -> TrainingPosition:
    """The position; an earlier version kept all of what a step added, or nothing of it."""
    if "with_forecast" in tree:
        tree["share"] = float(tree.pop("with_forecast"))
    return TrainingPosition(**tree)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], tensors: dict[str, Tensor]
) -> None:
    for name, tensor in tensors.items():
        key, parameter = name.split(".", 1)
        weight = parameters[parameter]
        optimizer.state[weight][key] = tensor.to(weight.device)


def _random_states(accelerator: Accelerator | None) -> dict[str, Tensor]:
    """The random state of every process, as rows."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return {name: gathered(accelerator, state) if accelerator else state[None] for name, state in states.items()}


def _restore_random(states: dict[str, Tensor], accelerator: Accelerator | None) -> None:
    processes, own = (accelerator.num_processes, accelerator.process_index) if accelerator else (1, 0)
    rows = {name: torch.atleast_2d(state) for name, state in states.items()}  # a vector in what was written once
    if len(rows["cpu"]) != processes:
        if own == 0:
            log.warning(
                "training was begun by %d processes and goes on with %d: its dropout differs from what it would have"
                " been, nothing else",
                len(rows["cpu"]),
                processes,
            )
        if own:
            return  # its numbers are as `own_random_numbers` has left them
    own_states = {name: row[own].clone() for name, row in rows.items()}  # PyTorch 2.13 crashes on a view
    torch.set_rng_state(own_states["cpu"])
    if "cuda" in own_states and torch.cuda.is_available():
        torch.cuda.set_rng_state(own_states["cuda"])
