"""How busy other programs keep the processor."""

from __future__ import annotations

import psutil
import pytest

from timellm.sizing.load import ProcessorTime


@pytest.mark.parametrize(("busy", "ours", "share"), [(8, 0, 1), (8, 8, 0), (6, 4, 0.25), (1, 2, 0)])
def test_share_of_others_is_what_was_busy_and_not_ours(busy, ours, share, monkeypatch):
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    assert ProcessorTime(14.0, 100.0 + busy, 50.0 + ours).others_since(ProcessorTime(10.0, 100.0, 50.0)) == share
