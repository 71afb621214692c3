"""Facts about a machine that were measured while other programs worked are measured again when they do not."""

from __future__ import annotations

import json
import subprocess

import pytest

from timellm.sizing import machine

FOUND = {
    "gpu": None,
    "fast_dtype": "bfloat16",
    "quantized_dtype": None,
    "gib_per_s": 60.0,
    "process_mib": 480.0,
    "quantization_mib": 40.0,
}


@pytest.fixture
def probe(monkeypatch, tmp_path):
    """A machine whose rates and whose other work the test sets; `measured` counts the measurements."""
    monkeypatch.setenv("TIMELLM_CACHE", str(tmp_path))

    class Probe:
        bfloat16, others_meanwhile, others_now, measured = 400.0, 0.0, 0.0, 0

    probe = Probe()

    real = subprocess.run

    def run(command, *args, **options):
        if "timellm.sizing.probe" not in command:  # `platform` asks the system about itself
            return real(command, *args, **options)
        probe.measured += 1
        said = json.dumps(FOUND | {"gflops": {"bfloat16": probe.bfloat16}})
        return subprocess.CompletedProcess(command, 0, stdout=f"{said}\n", stderr="")

    monkeypatch.setattr(machine.subprocess, "run", run)
    monkeypatch.setattr(machine, "others_now", lambda: probe.others_now)
    monkeypatch.setattr(machine.ProcessorTime, "others_since", lambda self, before: probe.others_meanwhile)
    return probe


def test_quiet_machine_is_measured_once(probe):
    first = machine.measured_facts()
    assert not first.too_slow
    assert machine.measured_facts() == first == machine.known_facts()
    assert probe.measured == 1


def test_busy_machine_is_measured_again_when_it_is_quiet(probe):
    probe.bfloat16, probe.others_meanwhile = 200.0, 0.5
    assert machine.measured_facts().too_slow
    probe.others_now = 0.4
    assert machine.measured_facts().gflops == {"bfloat16": 200.0}
    assert probe.measured == 1, "still busy: another measurement would be no better"

    probe.bfloat16, probe.others_meanwhile, probe.others_now = 400.0, 0.02, 0.03
    again = machine.measured_facts()
    assert again.gflops == {"bfloat16": 400.0}
    assert not again.too_slow
    machine.measured_facts()
    assert probe.measured == 2


def test_second_measurement_that_was_disturbed_more_lowers_no_rate(probe):
    probe.others_meanwhile = 0.3
    machine.measured_facts()
    probe.bfloat16, probe.others_meanwhile = 150.0, 0.8
    again = machine.measured_facts()
    assert again.gflops == {"bfloat16": 400.0}
    assert again.too_slow
