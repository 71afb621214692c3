"""Our training step against that of neuralforecast's TimeLLM: `python -m benchmarks.step_time`.

Each contender lives in a process of its own, so that its peak memory is its own. They take turns, so that the drift of
a shared machine falls on all alike, and only ratios within a round are reported. Needs
`pip install -r benchmarks/requirements.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

import torch

from benchmarks.arithmetic import bf16_rate, forecast_flops, step_flops
from benchmarks.contenders import CONTENDERS, Task
from timellm.training.peak_memory import peak_memory_mib

_FORECAST_BATCH = 64


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    print(f"{date.today()}, {_machine()}, torch {torch.__version__}")
    print(f"{arguments.backbone}, {arguments.layers} layers, batch {arguments.batch}, horizon {arguments.horizon}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = _cut_backbone(arguments, Path(scratch))
        for context in arguments.context:
            _compare(arguments, Task(folder, context, arguments.horizon, arguments.layers))


def _compare(arguments: argparse.Namespace, task: Task) -> None:
    workers = {name: _Worker(name, task, arguments.batch) for name in arguments.contenders}
    for worker in workers.values():
        worker.ask("steps", 2)  # buffers, caches
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    rates = []
    for done in range(arguments.rounds):
        print(f"context {task.context}, round {done + 1} of {arguments.rounds}", file=sys.stderr)
        for name, worker in workers.items():
            # The slow ones are measured once a round, the quick ones over as many steps as fit in that time.
            count = 1 if name == arguments.contenders[0] else arguments.steps
            seconds[name].append(worker.ask("steps", count)["seconds"] / count)
        rates.append(bf16_rate())
    forecasts = {name: [] for name in workers}
    for _ in range(3):
        for name, worker in workers.items():
            forecasts[name].append(_FORECAST_BATCH / worker.ask("forecast", 1)["seconds"])
    facts = {name: worker.ask("facts", 0) for name, worker in workers.items()}
    for worker in workers.values():
        worker.end()

    base = arguments.contenders[0]
    print(f"\ncontext {task.context}; ratios to {base}, median of {arguments.rounds} rounds (smallest to largest)")
    print(f"{'':16}{'s a step':>10}{'faster':>9}{'':>16}{'peak MiB':>10}{'share':>8}{'windows/s':>11}")
    for name in workers:
        ratios = [slow / quick for slow, quick in zip(seconds[base], seconds[name], strict=True)]
        print(
            f"{name:16}{statistics.median(seconds[name]):10.3f}{statistics.median(ratios):8.1f}x"
            f"{f'({min(ratios):.1f} to {max(ratios):.1f})':>16}{facts[name]['peak_mib']:10,.0f}"
            f"{facts[name]['peak_mib'] / facts[base]['peak_mib']:8.2f}{statistics.median(forecasts[name]):11.1f}"
        )
    if "default" in facts:
        rate = statistics.median(rates)
        own, shared = facts["default"]["own_tokens"], facts["default"]["shared_tokens"]
        tokens = {"prompt_tokens": own, "shared_tokens": shared}
        flops = step_flops(task, batch=arguments.batch, **tokens)
        share = flops / statistics.median(seconds["default"]) / rate
        print(
            f"default: {flops / 1e9:,.0f} GFLOP a step that cannot be left out ({own:.0f} prompt tokens a window,"
            f" {shared} shared), {share:.0%} of the measured {rate / 1e9:,.0f} GFLOP/s of bfloat16 products"
        )
        window = forecast_flops(task, batch=_FORECAST_BATCH, **tokens) / _FORECAST_BATCH
        share = window * statistics.median(forecasts["default"]) / rate
        print(f"default, forecasting: {window / 1e9:.1f} GFLOP a window, {share:.0%} of that rate")


class _Worker:
    """One contender in a process of its own."""

    def __init__(self, name: str, task: Task, batch: int) -> None:
        call = [sys.executable, "-m", "benchmarks.step_time", "--worker", name, json.dumps(asdict(task)), str(batch)]
        self._process = subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
        )
        self.ask("steps", 0)

    def ask(self, verb: str, count: int) -> dict[str, float]:
        self._process.stdin.write(f"{verb} {count}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"a contender ended with exit code {self._process.wait()}; see above")
        return json.loads(answer)

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def _work(name: str, task: Task, batch: int) -> None:
    """The worker's side: carry out what standard input says, answer on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    torch.manual_seed(0)
    contender = CONTENDERS[name](task)
    contexts, targets = _windows(task, 4 * batch)
    batches = [slice(begin, begin + batch) for begin in range(0, len(contexts), batch)]
    taken = 0
    for line in sys.stdin:
        verb, count = line.split()
        begin = time.perf_counter()
        answer = {}
        if verb == "steps":
            for _ in range(int(count)):
                chosen = batches[taken % len(batches)]
                contender.step(contexts[chosen], targets[chosen])
                taken += 1
        elif verb == "forecast":
            contender.forecast(contexts[:_FORECAST_BATCH])
        else:
            answer["peak_mib"] = peak_memory_mib()
            if contender.tokens is not None:
                answer["own_tokens"], answer["shared_tokens"] = contender.tokens(contexts)
        print(json.dumps({"seconds": time.perf_counter() - begin} | answer), file=answers, flush=True)


def _windows(task: Task, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Real windows, evenly spaced over the bundled sample: contexts [B, T] and targets [B, H]."""
    from timellm.config import RunConfig
    from timellm.data.prepared import PreparedData
    from timellm.data.samples import samples
    from timellm.data.table import load_table

    config = RunConfig.create(samples()[0].path).updated(context=task.context, horizon=task.horizon)
    prepared = PreparedData.of(load_table(config.data), config)
    index = prepared.windows("training").evenly(count)
    return prepared.source(torch.device("cpu")).gather(index.channel, origin=index.origin)


def _cut_backbone(arguments: argparse.Namespace, scratch: Path) -> str:
    """A float32 copy of the backbone's first layers: the peer takes all layers that a folder has."""
    from timellm.config import ModelConfig
    from timellm.forecasters.time_llm.backbone import load_backbone

    config = ModelConfig(backbone=arguments.backbone, layers=arguments.layers, backbone_dtype="float32")
    backbone = load_backbone(config, device="cpu")
    backbone.model.config.dtype = torch.float32
    backbone.model.save_pretrained(scratch)
    backbone.tokenizer.save_pretrained(scratch)
    return str(scratch)


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {torch.cpu.get_capabilities().get('architecture', '')} {platform.machine()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="smollm2-135m")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--context", type=int, nargs="+", default=[96, 512])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="steps of a quick contender in one round")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    return parser.parse_args()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _work(sys.argv[2], Task(**json.loads(sys.argv[3])), int(sys.argv[4]))
    else:
        main()
