"""Facts about this machine: free memory now, and, measured once, its speed and the program's own memory.

The measuring needs torch and a few seconds, so it runs in a process of its own and its findings are kept in the cache
folder; everything else here is cheap to import. Enters: nothing. Outputs: `MachineFacts` and `Budget`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import psutil

from timellm.errors import ConfigError
from timellm.installation import PROJECT
from timellm.sizing.load import BUSY_SHARE, ProcessorTime, others_now
from timellm.workspace import cache_folder, check_writable, write_whole

_LIBRARIES = ("torch", "transformers", "bitsandbytes")
_FORM = 4
"""Counts the changes of what is measured, and of what `backbone_dtype=auto` means."""
_TIMEOUT_S = 300
_MIB = 2**20


@dataclass(frozen=True)
class MachineFacts:
    """Measured once for each machine and each set of installed libraries."""

    processor: str
    gpu: str | None
    """Name of the graphics card that PyTorch uses, None when there is none."""
    fast_dtype: str
    """What backbone_dtype=auto is here."""
    gflops: dict[str, float]
    """Matrix products in 1e9 operations a second, by dtype, on the GPU if there is one."""
    gib_per_s: float
    """Main memory read and written by one simple pass over a large array."""
    process_mib: float
    """Memory of a worker that has imported everything and multiplied once."""
    quantization_mib: float
    """What bitsandbytes adds."""
    quantized_dtype: str | None = None
    """What backbone_dtype=auto is for quantised layers, where that is another."""
    others_share: float = 0.0
    """Share of the processor, 0 to 1, that other programs took meanwhile."""

    @property
    def too_slow(self) -> bool:
        """Whether other programs took so much of the processor that this machine is faster than it seemed."""
        return self.others_share > BUSY_SHARE

    def with_rates_of(self, earlier: MachineFacts) -> MachineFacts:
        """These facts with the higher one of each rate: other programs make a machine seem slower, never faster."""
        rates = {name: max(rate, earlier.gflops.get(name, 0.0)) for name, rate in self.gflops.items()}
        return replace(self, gflops=rates, gib_per_s=max(self.gib_per_s, earlier.gib_per_s))


@dataclass(frozen=True)
class Budget:
    """Memory that a new run can have."""

    free_mib: float
    total_mib: float
    where: str = "memory"
    """"memory" or "GPU memory"."""


def facts_file() -> Path:
    """Where the findings lie; a new library, another processor or another form makes another file."""
    stamp = "-".join([*_versions(), platform.machine(), str(os.cpu_count()), f"form{_FORM}"])
    return cache_folder() / "machine" / f"{stamp}.json"


@cache  # a page asks each time, and looking for them reads every folder of `sys.path`
def _versions() -> tuple[str, ...]:
    return tuple(version(name) for name in _LIBRARIES)


def known_facts() -> MachineFacts | None:
    """What was measured before, None if nothing was."""
    try:
        facts = MachineFacts(**json.loads(facts_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # never measured, or by another version of this module
        return None
    return facts if facts.processor == processor_name() else None


def measured_facts() -> MachineFacts:
    """What was measured before, or is measured now, which takes some ten seconds.

    What was measured while other programs worked is measured again when they do not.

    Raises:
        ConfigError: the measuring process failed, and the message has its last line; or the findings cannot be kept.
    """
    known = known_facts()
    if known is not None and not (known.too_slow and others_now() <= BUSY_SHARE):
        return known
    before = ProcessorTime.now()
    try:
        check_writable(facts_file().parent)
    except OSError as error:
        raise ConfigError(
            f"what is measured of this machine cannot be kept: the cache folder {cache_folder()} cannot be written"
            f" ({error.strerror}); set TIMELLM_CACHE to a folder that you may write to"
        ) from error
    try:
        done = subprocess.run(
            [sys.executable, "-m", "timellm.sizing.probe"],
            cwd=PROJECT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"this machine could not be measured within {_TIMEOUT_S} s; try again when it is less busy"
        ) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ConfigError(f"this machine could not be measured: {last}")
    others = ProcessorTime.now().others_since(before)
    facts = MachineFacts(processor=processor_name(), others_share=others, **json.loads(done.stdout.splitlines()[-1]))
    if known is not None:
        facts = facts.with_rates_of(known)
    text = json.dumps(asdict(facts), indent=2)
    write_whole(facts_file(), lambda path: path.write_text(text, encoding="utf-8"))
    return facts


def budget(facts: MachineFacts, device: str = "auto", *, freed_mib: float = 0.0) -> Budget:
    """What a run on `device` can have now; `freed_mib` is held by a run that will have ended before it starts.

    Raises:
        ConfigError: the GPU's memory cannot be found out.
    """
    if facts.gpu is not None and device != "cpu":
        return _gpu_budget()
    machine = psutil.virtual_memory()
    limit, used = _cgroup_memory()
    total = min(machine.total, limit or machine.total)
    free = min(machine.available, limit - used if limit else machine.available)
    return Budget(min(free / _MIB + freed_mib, total / _MIB), total / _MIB)


def oom_kills() -> int:
    """Processes that the kernel has killed for want of memory, in this control group or else on this machine."""
    for folder in _cgroup_folders():
        for name in ("memory.events", "memory.oom_control"):
            if (count := _counter(folder / name)) is not None:
                return count
    return _counter(Path("/proc/vmstat")) or 0


def let_the_kernel_end_this_first() -> None:
    """Offer this process to the kernel when memory is short, so that the page's server is not what it ends."""
    try:
        Path("/proc/self/oom_score_adj").write_text("800")
    except OSError:  # not Linux, or not allowed; then the kernel chooses by size
        return


def _gpu_budget() -> Budget:
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.free,memory.total", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        free, total = answer.stdout.splitlines()[0].split(",")
        return Budget(float(free), float(total), "GPU memory")
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        raise ConfigError(
            f"nvidia-smi does not say how much memory the GPU has free ({type(error).__name__}); look whether the"
            " driver works, or use device=cpu"
        ) from error


def _cgroup_memory() -> tuple[int | None, int]:
    """Limit and use of the tightest control group in bytes; no limit is None."""
    tightest: tuple[int | None, int] = (None, 0)
    for folder in _cgroup_folders():
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is None or used is None or limit >= psutil.virtual_memory().total:
                continue
            used -= _counter(folder / "memory.stat", "inactive_file") or 0  # pages the kernel gives back when asked
            if tightest[0] is None or limit - used < tightest[0] - tightest[1]:
                tightest = (limit, used)
    return tightest


def _cgroup_folders() -> list[Path]:
    """The control groups that this process is in, innermost first; inside a container, its own is the root."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            root = Path("/sys/fs/cgroup/memory" if controllers else "/sys/fs/cgroup")
            inner = root / path.lstrip("/")
            found += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(root) and folder.is_dir()]
    return found


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _counter(file: Path, name: str = "oom_kill") -> int | None:
    """The number after `name` in a file of `name number` lines."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), None)


def processor_name() -> str:
    """The processor's name as the system tells it; empty if it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
