"""DeepSpeed's ZeRO, stages 0 to 2: the optimiser's moments, and in stage 2 the gradients, divided over processes.

Inputs: a DeepSpeed configuration file, of which only what concerns ZeRO and communication is taken; batch, optimiser,
schedule and clipping are settings of the run. Outputs: the plugin that Accelerate takes, and the moments of all
processes as plain tensors, so that the training state needs none of DeepSpeed's own (pickled) checkpoints.
DeepSpeed is optional: requirements-deepspeed.txt.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DeepSpeedPlugin
from torch import Tensor

from timellm.config import TrainingConfig
from timellm.errors import CheckpointError, ConfigError
from timellm.installation import install_command
from timellm.json_text import read_json
from timellm.training.checkpoint import device_of
from timellm.training.processes import gathered, join_processes

_STAGES = (0, 1, 2)
_OURS = {
    "train_batch_size": "batch_size",
    "train_micro_batch_size_per_gpu": "batch_size",
    "gradient_accumulation_steps": "accumulation",
    "gradient_clipping": "clip_norm",
    "optimizer": "optimizer",
    "scheduler": "schedule",
}
"""Entries of a DeepSpeed file that a setting of the run decides; they may be "auto"."""


def read_deepspeed(path: Path) -> dict[str, Any]:
    """Read a DeepSpeed file and refuse what would contradict the run's settings.

    Raises:
        ConfigError: the file cannot be read, or sets something that is set elsewhere or not supported.
    """
    where = f"setting 'deepspeed': {path}"
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{where} holds no JSON object, as a DeepSpeed configuration is")
    for name, setting in _OURS.items():
        if content.pop(name, "auto") != "auto":
            raise ConfigError(f"{where} sets '{name}', which setting '{setting}' of the run decides; leave it out")
    for name in ("fp16", "bf16"):
        if content.pop(name, {}).get("enabled", False) is True:
            raise ConfigError(
                f"{where} enables '{name}', but the trained parts stay float32; setting 'backbone_dtype' says in what"
                " the frozen backbone calculates"
            )
    zero = content.get("zero_optimization", {})
    if zero.get("stage", 0) not in _STAGES:
        raise ConfigError(
            f"{where} sets ZeRO stage {zero['stage']}, which divides the trained weights themselves; they are few"
            " here, and stages 0 to 2 are supported"
        )
    for name in ("offload_optimizer", "offload_param"):
        if zero.get(name, {}).get("device", "none") != "none":
            raise ConfigError(f"{where} sets '{name}', which is not supported; leave it out")
    content["zero_optimization"] = {name: value for name, value in zero.items() if value != "auto"}
    return content


def processes_of(config: TrainingConfig) -> Accelerator:
    """The processes that work on a run with these settings.

    Raises: ConfigError: there is no such device, or the launcher or the DeepSpeed file sets something that is not
    supported.
    """
    device = device_of(config.device)
    if config.deepspeed is None:
        return join_processes(device)
    plugin = deepspeed_plugin(Path(config.deepspeed), device=device, clip_norm=config.clip_norm)
    return join_processes(device, deepspeed=plugin)


def deepspeed_plugin(path: Path, *, device: torch.device, clip_norm: float) -> DeepSpeedPlugin:
    """Accelerate's plugin for the file at `path`.

    Raises:
        ConfigError: see `read_deepspeed`; or DeepSpeed is not installed, or no launcher has started this process.
    """
    content = read_deepspeed(path)
    if importlib.util.find_spec("deepspeed") is None:
        raise ConfigError(
            f"setting 'deepspeed' needs DeepSpeed, which is not installed; install it with"
            f" {install_command('deepspeed')}"
        )
    if "LOCAL_RANK" not in os.environ:
        raise ConfigError(
            "setting 'deepspeed' is for a run of several processes; start them with torchrun (docs/distributed.md)"
        )
    if device.type == "cpu":
        if torch.cuda.is_available():
            raise ConfigError("setting 'deepspeed' uses the GPUs of this machine; leave 'device' at auto")
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # A batch's parts are counted in the loop: to DeepSpeed, each is one of one window.
    counted = {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1, "gradient_clipping": clip_norm}
    return DeepSpeedPlugin(hf_ds_config={**content, **counted})


def moments(optimizer: torch.optim.Optimizer, accelerator: Accelerator) -> dict[str, Tensor]:
    """The optimiser's numbers of all processes, as rows; all processes call this."""
    zero = optimizer.optimizer
    return {
        f"{key}.part{number}": gathered(accelerator, torch.as_tensor(value))
        for number, part in enumerate(zero.single_partition_of_fp32_groups)
        for key, value in sorted(zero.optimizer.state[part].items())
    }


def restore_moments(optimizer: torch.optim.Optimizer, kept: dict[str, Tensor], accelerator: Accelerator) -> None:
    """Put each process's own numbers back, and take over the weights that the network has been given.

    Raises:
        CheckpointError: another number of processes wrote them.
    """
    zero = optimizer.optimizer
    zero.refresh_fp32_params()
    for name, rows in kept.items():
        key, number = name.rsplit(".part", 1)
        if len(rows) != accelerator.num_processes:
            raise CheckpointError(
                f"the training state was written by {len(rows)} processes with DeepSpeed, and there are"
                f" {accelerator.num_processes}; go on with {len(rows)}"
            )
        part = zero.single_partition_of_fp32_groups[int(number)]
        zero.optimizer.state[part][key] = rows[accelerator.process_index].clone().to(part.device)
