"""This machine in one line: processor or GPU, free memory, backbones that are ready."""

from __future__ import annotations

from pathlib import Path

import psutil

from timellm.forecasters.time_llm.catalog import catalogue
from timellm.ui.loaders import backbone_ready
from timellm.ui.words import memory


def graphics_card() -> str | None:
    """Name of the first NVIDIA GPU the driver lists, found without loading torch; None when there is none."""
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in file.read_text(errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.removeprefix("Model:").strip()
    return None


def machine_line() -> str:
    """Cores or GPU, free memory, and which backbones load without fetching."""
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    free = psutil.virtual_memory().available / 2**20
    ready = [entry.title for entry in catalogue() if backbone_ready(entry.name)]
    return " · ".join(
        [
            graphics_card() or f"{cores} processor {'core' if cores == 1 else 'cores'}, no GPU",
            f"{memory(free)} of memory free",
            f"ready to use: {', '.join(ready)}" if ready else "no backbone fetched yet (the first run does it)",
        ]
    )
