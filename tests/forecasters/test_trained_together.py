"""Two processes train one forecaster: real ones, started by torchrun, against one process with the same batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.forecasters.dlinear import DLinearForecaster
from timellm.forecasters.protocol import FitJob

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import os, sys
from pathlib import Path
import numpy as np
from timellm.config import RunConfig
from timellm.data.prepared import PreparedData
from timellm.data.table import load_table
from timellm.forecasters.dlinear import DLinearForecaster
from timellm.forecasters.protocol import FitJob

folder, main = Path(sys.argv[1]), os.environ["RANK"] == "0"
config = RunConfig.from_json((folder / "settings.json").read_text())

def on_progress(progress):
    assert main, "only the main process reports"

def should_stop():
    assert main, "only the main process is asked"
    return False

prepared = PreparedData.of(load_table(config.data), config)
forecaster, report = DLinearForecaster.fit(prepared, FitJob(config, folder, on_progress, should_stop))
together = forecaster.predict(prepared, prepared.windows("test"))
alone = DLinearForecaster(forecaster.network, config).predict(prepared, prepared.windows("test"))
np.savez(folder / f"{os.environ['RANK']}.npz", together=together, alone=alone, loss=report.validation_loss)
"""


@pytest.fixture
def config(hourly_csv) -> RunConfig:
    return RunConfig.create(
        hourly_csv, kind="dlinear", context=32, horizon=6, steps=6, batch_size=7, accumulation=3, validations=2,
        validation_windows=15, device="cpu",
    )  # fmt: skip


def test_two_processes_train_what_one_trains(config, tmp_path):
    (tmp_path / "settings.json").write_text(config.to_json())
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
    subprocess.run(
        [sys.executable, *launcher, sys.executable, "-c", WORKER, str(tmp_path)], cwd=ROOT, check=True, timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )  # fmt: skip
    (tmp_path / "one").mkdir()
    prepared = PreparedData.of(load_table(config.data), config)
    forecaster, report = DLinearForecaster.fit(prepared, FitJob(config, tmp_path / "one"))
    expected = forecaster.predict(prepared, prepared.windows("test"))
    for rank in (0, 1):
        found = np.load(tmp_path / f"{rank}.npz")
        np.testing.assert_allclose(found["together"], expected, rtol=1e-5)
        np.testing.assert_array_equal(found["alone"], found["together"])
        assert found["loss"] == pytest.approx(report.validation_loss, rel=1e-5)
