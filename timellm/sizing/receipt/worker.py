"""The fresh process behind one row of a receipt: `python -m timellm.sizing.receipt.worker ASKER FOLDER`.

Inputs: a configuration on standard input (timellm.sizing.fresh). Outputs: lines of JSON on standard output,
`progress` and at the end `done` or `failure`; and in FOLDER, if it is still empty, the adapters, hidden states and
gradients that later precisions are compared with.

The memory is that of a run: load, train a few steps, validate once. Hidden states and gradients are computed after
that, so that they cannot raise the peak, and so that the gradient follows a pass without gradient.

Shapes: B batch, P patches, D backbone width.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.season import suggest_description
from timellm.data.table import load_table
from timellm.errors import TimeLLMError
from timellm.forecasters.time_llm.backbone import load_backbone
from timellm.forecasters.time_llm.network import TimeLLM
from timellm.sizing.fresh import asked_for
from timellm.sizing.outofmemory import is_out_of_memory
from timellm.training.checkpoint import device_of
from timellm.training.loop import train
from timellm.training.peak_memory import peak_memory_mib
from timellm.training.progress import Progress
from timellm.training.step import TrainingWindows

_WARM_UP, _TIMED, _FEWEST = 2, 8, 3
_TIMED_S = 20.0
"""A slow backbone is timed for about so long, but never for less than `_FEWEST` steps."""
_PROBED = 16
"""Windows over which errors are taken."""
_ADAPTERS, _REFERENCE = "adapters.safetensors", "reference.safetensors"


class _Input(Exception):
    """An error in the user's input, found before anything was measured; its cause is the error itself."""


def measure(config: RunConfig, folder: Path) -> dict[str, Any]:
    """The numbers of one row, and facts that every row shares.

    Raises:
        _Input: the table, a setting or the backbone cannot be used.
    """
    try:
        _say("progress", share=0.0, doing="loading")
        table = load_table(config.data)
        described = config.data.description or suggest_description(table, Path(config.data.path).stem)
        prepared = PreparedData.of(table, config)
        training, validation = prepared.windows("training"), prepared.windows("validation")
        device = device_of(config.device)
        backbone = load_backbone(config.model, device=device, on_bytes=_Fetch())
    except TimeLLMError as error:
        raise _Input from error
    torch.manual_seed(config.trained.seed)
    network = TimeLLM(config.model, backbone=backbone, description=described)
    if not (folder / _ADAPTERS).exists():
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / _ADAPTERS)
    weights = weights_mib(backbone.model)
    windows = TrainingWindows(prepared.source(device), training, validation)
    seconds = _timed_steps(network, windows, config)
    peak = peak_memory_mib()

    _say("progress", share=0.9, doing="comparing hidden states and gradients")
    network.load_state_dict(load_file(folder / _ADAPTERS))
    probed = training.evenly(min(_PROBED, config.trained.batch_size))
    context_BT, target_BH = windows.source.gather(probed.channel, origin=probed.origin)
    told = windows.source.beside(probed.channel, origin=probed.origin).get("told")
    errors = compare(network, context_BT, target_BH, told=told, reference=folder / _REFERENCE)
    row = {
        "arithmetic": str(backbone.dtype).removeprefix("torch."),
        "weights_mib": weights,
        "peak_mib": peak,
        "step_s": statistics.median(seconds),
        "timed_steps": len(seconds),
        **errors,
    }
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"row": row, "facts": {"windows": len(probed), "gpu": gpu}}


def _timed_steps(network: nn.Module, windows: TrainingWindows, config: RunConfig) -> list[float]:
    """Seconds of each training step after the first ones; one validation follows, as in a run."""
    moments = [time.perf_counter()]
    steps = _WARM_UP + _TIMED
    few = {"steps": steps, "minutes": None, "validations": 1, "validation_windows": 1, "patience": steps}

    def on_progress(progress: Progress) -> None:
        if progress.validation_loss is None:
            moments.append(time.perf_counter())
            _say("progress", share=0.3 + 0.6 * progress.fraction, doing=f"step {progress.done} of {steps}")

    def should_stop() -> bool:
        enough = len(moments) > _WARM_UP + _FEWEST
        return enough and moments[-1] - moments[_WARM_UP] > _TIMED_S

    train(
        network, windows, config.updated(**few).trained, save_best=lambda: None, on_progress=on_progress,
        should_stop=should_stop,
    )  # fmt: skip
    return [after - before for before, after in pairwise(moments)][_WARM_UP:]


def compare(
    network: TimeLLM, context_BT: Tensor, target_BH: Tensor, *, reference: Path, told: list[str] | None = None
) -> dict[str, float]:
    """Compare hidden states and the gradient at the patches with those in `reference`; write it if it is missing.

    `told` is what the prompts say of the windows' time, if anything. The reprogrammed patches are the reference's own,
    so that a difference is the backbone's and not that of prototypes made from rounded word embeddings. The gradient is
    that of the mean squared error on the z-scored targets.
    """
    known = load_file(reference) if reference.exists() else {}
    tap = _Tap(network.reader, known.get("patches"))
    network.eval()  # no dropout; gradients flow all the same
    network.reader = cast(Any, tap)
    try:
        F.mse_loss(network(context_BT, told), target_BH).backward()
    finally:
        network.reader = tap.reader
    found = {"patches": tap.patches_BPD, "hidden": tap.hidden_BPD, "gradient": tap.patches_BPD.grad}
    found = {name: tensor.detach().float().cpu().contiguous() for name, tensor in found.items()}
    if not known:
        save_file(found, reference)
        known = found
    hidden, gradient = found["hidden"].flatten(0, 1), found["gradient"].flatten()[None]
    hidden_error, hidden_cosine = deviation(hidden, known["hidden"].flatten(0, 1))
    gradient_error, gradient_cosine = deviation(gradient, known["gradient"].flatten()[None])
    return {
        "hidden_error": hidden_error,
        "hidden_cosine": hidden_cosine,
        "gradient_error": gradient_error,
        "gradient_cosine": gradient_cosine,
    }


def deviation(found_RD: Tensor, exact_RD: Tensor) -> tuple[float, float]:
    """Means over rows of the relative distance and of the cosine."""
    found_RD, exact_RD = found_RD.double(), exact_RD.double()
    distance_R = (found_RD - exact_RD).norm(dim=1) / exact_RD.norm(dim=1)
    return float(distance_R.mean()), float(F.cosine_similarity(found_RD, exact_RD, dim=1).mean())


def weights_mib(model: nn.Module) -> float:
    """Memory of every tensor that `model` holds, each once: parameters, buffers, and what quantised layers keep."""
    kept: dict[int, int] = {}
    for module in model.modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        for tensor in (*own, *(extra for holder in (*own, module) for extra in _extras(holder))):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
    return sum(kept.values()) / 2**20


def _extras(holder: object) -> list[Tensor]:
    """Tensors that bitsandbytes hangs on a weight (4 bit: its quantization state) or on a layer (8 bit: its state)."""
    state = getattr(holder, "quant_state", None)  # of a weight in 4 bits
    parts = [getattr(state, name, None) for name in ("absmax", "code", "offset")]
    parts += [getattr(getattr(state, "state2", None), name, None) for name in ("absmax", "code", "offset")]
    parts += [getattr(getattr(holder, "state", None), name, None) for name in ("CB", "SCB")]
    parts += [getattr(holder, name, None) for name in ("CB", "SCB")]  # a weight in 8 bits, before its first use
    return [part for part in parts if isinstance(part, Tensor)]


class _Tap:
    """Replaces the network's reader: passes given patches to it, and keeps them and the hidden states."""

    def __init__(self, reader: Any, patches_BPD: Tensor | None):
        self.reader, self._given = reader, patches_BPD

    def __getattr__(self, name: str) -> Any:
        return getattr(self.reader, name)

    def __call__(self, prompts: list[list[int]], *, patches_BPD: Tensor, **options: Any) -> Tensor:
        given = patches_BPD if self._given is None else self._given.to(patches_BPD)
        self.patches_BPD = given.detach().clone().requires_grad_()
        self.hidden_BPD = self.reader(prompts, patches_BPD=self.patches_BPD, **options)
        return self.hidden_BPD


class _Fetch:
    """Reports the progress of the backbone's fetch, at most a hundred times."""

    def __init__(self) -> None:
        self._percent = -1

    def __call__(self, done: int, total: int) -> None:
        if (percent := 100 * done // total) != self._percent:
            self._percent = percent
            _say("progress", share=0.3 * done / total, doing=f"fetching the backbone, {percent} %")


def _say(kind: str, /, **content: Any) -> None:
    print(json.dumps({kind: content}), file=sys.__stdout__, flush=True)


def main(config: RunConfig, folder: Path) -> None:
    """Measure one row; every ending is a line on standard output."""
    try:
        found = measure(config, folder)
    except _Input as wrapper:
        error = wrapper.__cause__
        # Loading wraps what the libraries raise; too little memory for one precision may do for another.
        input_error = not is_out_of_memory(RuntimeError(str(error)))
        _say("failure", kind=type(error).__name__, text=str(error), input=input_error)
    except TimeLLMError as error:  # training diverged in this precision
        _say("failure", kind=type(error).__name__, text=str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _say("failure", kind="MemoryError", text=f"memory ran out ({' '.join(str(error).split())[:200]})")
    else:
        _say("done", **found)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # a library's greeting is not the answer
        main(asked_for(), Path(sys.argv[2]))
