"""The processes that work on one run together: their devices, the main process, and how they stay in step.

Started by `torchrun` or `accelerate launch`, which say in the environment how many there are; otherwise there is one.
The main process alone reads the table and the run's folder, writes, reports and decides; it sends what it found to the
others. Every collective operation needs all processes, so all must take the same path: the main process makes every
decision that depends on a clock, a file or a user, and sends it to the others.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from accelerate import Accelerator, DeepSpeedPlugin
from accelerate.state import AcceleratorState, GradientState, is_initialized
from accelerate.utils import (
    DistributedType,
    GradientAccumulationPlugin,
    InitProcessGroupKwargs,
    broadcast,
    broadcast_object_list,
)
from torch import Tensor, nn

from timellm.errors import ConfigError

Found = TypeVar("Found")
_LAST_WORK_S = 0.5
_PATIENCE = timedelta(hours=2)  # for a process that fetches or loads a large backbone while others wait for it


def join_processes(device: torch.device, *, deepspeed: DeepSpeedPlugin | None = None) -> Accelerator:
    """Connect to the other processes of this run, if a launcher started some; each gets a device like `device`.

    `deepspeed` divides the optimiser's work between them (timellm.training.zero).

    Raises:
        ConfigError: the launcher requests something that this program does in another way.
    """
    _check_launcher()
    before = AcceleratorState._shared_state
    sharded = DistributedType.DEEPSPEED in (before.get("distributed_type"), deepspeed and DistributedType.DEEPSPEED)
    if is_initialized() and (sharded or before.get("device", device).type != device.type):
        AcceleratorState._reset_state(reset_partial_state=True)  # an earlier run of this process was of another kind
        GradientState._reset_state()
    theirs = torch.distributed.is_initialized()
    # With its `cpu`, Accelerate knows no DeepSpeed; with the backend by name, it does.
    group = {"backend": "gloo"} if deepspeed and device.type == "cpu" else {}
    accelerator = Accelerator(
        cpu=device.type == "cpu" and deepspeed is None,
        deepspeed_plugin=deepspeed,
        # The trained parts are float32 and the backbone has its own arithmetic and its own scaling of gradients
        # (timellm.forecasters.time_llm.precision); an autocast and a loss scale over both would undo that.
        mixed_precision="no",
        # Parts of a batch are counted in the loop, whatever the launcher's environment says.
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE, **group)],
    )
    os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)  # it says so to every later run, too
    if torch.distributed.is_initialized() and not theirs:
        atexit.register(_part)
    return accelerator


def from_main(accelerator: Accelerator, find: Callable[[], Found]) -> Found:
    """What `find` returns on the main process, given to every process; what it raises is raised in every one.

    It travels as a pickle from process to process of one run, never through a file.
    """
    if accelerator.num_processes == 1:
        return find()
    answer: list = [None, None]
    if accelerator.is_main_process:
        try:
            answer[0] = find()
        except Exception as error:
            broadcast_object_list([None, error])
            raise
    found, failure = broadcast_object_list(answer)
    if failure is not None:
        raise failure
    return found


def main_first(accelerator: Accelerator, work: Callable[[], Found]) -> Found:
    """`work` on every process, on the main one first, so that the others find what it fetched.

    What it raises on the main process is raised in every one.
    """
    done: list[Found] = []
    from_main(accelerator, lambda: done.append(work()))
    with accelerator.local_main_process_first():  # other machines have to fetch, too
        return done[0] if accelerator.is_main_process else work()


def numbers_from_main(accelerator: Accelerator, find: Callable[[], tuple[float, ...]], *, count: int) -> list[float]:
    """Like `from_main` for `count` numbers, fast enough for every step."""
    if accelerator.num_processes == 1:
        return list(find())
    numbers = find() if accelerator.is_main_process else (0.0,) * count
    return broadcast(torch.tensor(numbers, dtype=torch.float64, device=accelerator.device)).tolist()


def weights_from_main(accelerator: Accelerator, network: nn.Module) -> None:
    """Give every process the main one's trained weights."""
    if accelerator.num_processes > 1:
        broadcast([tensor.data for tensor in network.state_dict().values()])


def prepared_for_steps(
    accelerator: Accelerator, network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The objects that training steps call instead of `network` and `optimizer`; they share the network's weights."""
    if is_sharded(accelerator):
        return accelerator.prepare(network, optimizer)
    return network, accelerator.prepare(optimizer)


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether DeepSpeed averages the gradients and makes the steps, both during the backward pass."""
    return accelerator.distributed_type == DistributedType.DEEPSPEED


def add_up_gradients(accelerator: Accelerator, network: nn.Module) -> None:
    """Give every process the sum of all processes' gradients.

    Weight by weight, not in the buckets of DistributedDataParallel, which changes its buckets after the first step: a
    resumed run would then add three processes' numbers in another order than an uninterrupted one. Buckets would also
    gain little time, because the trained parts are small and come last in the backward pass.
    """
    if accelerator.num_processes > 1 and not is_sharded(accelerator):
        for weight in network.parameters():
            if weight.requires_grad:
                own = torch.zeros_like(weight) if weight.grad is None else weight.grad
                weight.grad = accelerator.reduce(own)


def gathered(accelerator: Accelerator, tensor: Tensor) -> Tensor:
    """`tensor` [...] of every process, of one shape in all, as [processes, ...] on the CPU."""
    if accelerator.num_processes == 1:
        return tensor.cpu()[None]
    return accelerator.gather(tensor.to(accelerator.device)[None]).cpu()


def own_random_numbers(accelerator: Accelerator, *, seed: int) -> None:
    """Let dropout differ between processes, reproducibly; the main one draws the same numbers as a single process."""
    if not accelerator.is_main_process:
        torch.manual_seed(int(np.random.SeedSequence([seed, accelerator.process_index]).generate_state(1)[0]))


def _check_launcher() -> None:
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision not in ("", "no"):
        raise ConfigError(
            f"the launcher sets mixed precision '{precision}'; here the frozen backbone alone calculates in 16 bits"
            " and setting 'backbone_dtype' says in which: launch with --mixed_precision no"
        )
    for name, what in (("FSDP", "FSDP"), ("MEGATRON_LM", "Megatron-LM"), ("DEEPSPEED", "DeepSpeed")):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
            raise ConfigError(
                f"the launcher sets {what}, which is not supported so; launch without it (DeepSpeed is set up by"
                " setting 'deepspeed')"
            )


def _part() -> None:
    """Leave the others when this process ends.

    Gloo's threads live on, and one may still hold a tensor of the last collective operation, which it gives back with
    Python's lock. A thread that asks for the lock when Python has ended aborts the process, after its work is done.
    While this one sleeps, it gets the lock.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        time.sleep(_LAST_WORK_S)
