"""What only a CUDA device can show. Every test here is marked `gpu`; where there is none, it is skipped and says so.

    python -m pytest tests/gpu

They ask of the GPU what the tests of the same names ask of the CPU, with the same functions wherever that reads well.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

DEVICE = "cuda"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip before any fixture is made."""
    assert item.get_closest_marker("gpu"), f"{item.nodeid} is not marked gpu"
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device; none found here")


@pytest.fixture
def exact_float32() -> Iterator[None]:
    """float32 means float32: convolutions would round their factors to TF32's ten bits otherwise."""
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [switch.fp32_precision for switch in switches]
    for switch in switches:
        switch.fp32_precision = "ieee"
    yield
    for switch, precision in zip(switches, before, strict=True):
        switch.fp32_precision = precision
