"""The verb that measures memory, time and error of each quantization of a backbone on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns
from timellm.cli.fitting import _configuration

if TYPE_CHECKING:
    from timellm.config import RunConfig
    from timellm.sizing.receipt import Receipt, ReceiptRow


def receipt(arguments: argparse.Namespace) -> Answer:
    """float32, bfloat16, 8 bit and 4 bit of a backbone side by side.

    Raises:
        TimeLLMError: the table, a setting or the backbone cannot be used.
    """
    from tqdm import tqdm

    from timellm.forecasters.time_llm.catalog import check_cache
    from timellm.sizing.receipt import measure_receipt, verdict

    config = _asked_for(arguments)
    check_cache(config.model.backbone)
    with tqdm(total=1.0, bar_format="{percentage:3.0f}% |{bar:20}| {desc}", dynamic_ncols=True, file=sys.stderr) as bar:

        def show(share: float, doing: str) -> None:
            bar.set_description_str(doing, refresh=False)
            bar.update(share - bar.n)

        found = measure_receipt(config, on_progress=show)
    assert found is not None, "nobody could have stopped it"
    said = verdict(found)
    return Answer({**json.loads(found.to_json()), "verdict": said}, _in_words(found, said))


def _asked_for(arguments: argparse.Namespace) -> RunConfig:
    """The configuration that `fit` would use, on a bundled sample if no table is given."""
    from timellm.data.samples import samples

    backbone = [] if arguments.backbone is None else [f"backbone={arguments.backbone}"]
    settings = [*arguments.settings, *backbone]
    table = arguments.data or samples()[0].path
    return _configuration(argparse.Namespace(table=table, config=None, preset=None, model=None, settings=settings))


def _in_words(found: Receipt, said: str) -> str:
    from timellm.sizing.load import BUSY_SHARE
    from timellm.sizing.receipt.verdict import NAMES

    header = (
        "precision", "weights, MiB", "peak, MiB", "s a step", "hidden error", "(cosine)", "gradient error", "(cosine)",
    )  # fmt: skip
    table = columns(header, [(NAMES[row.precision], *_cells(row)) for row in found.rows])
    machine = found.machine
    lines = [
        f"{found.backbone}, {found.layers} layers, context {found.context}, batch {found.batch_size}; "
        f"errors over {found.windows} windows of {found.table}, against float32",
        "",
        table,
        "",
        said,
        *(f"{NAMES[row.precision]}: {row.cause}" for row in found.rows if row.cause),
        f"{machine.gpu or machine.processor}, {machine.cores} cores, {machine.memory_mib / 1024:,.0f} GiB, "
        f"torch {machine.torch}, {found.measured:%Y-%m-%d %H:%M} UTC",
    ]
    if found.others_share > BUSY_SHARE:
        lines.append(f"Other work took up to {found.others_share:.0%} of the processor: the seconds are too long.")
    return "\n".join(lines)


def _cells(row: ReceiptRow) -> list[str | None]:
    numbers = [(row.weights_mib, ",.1f"), (row.peak_mib, ",.0f"), (row.step_s, ".3f")]
    numbers += [(row.hidden_error, ".4f"), (row.hidden_cosine, ".5f")]
    numbers += [(row.gradient_error, ".4f"), (row.gradient_cosine, ".5f")]
    return [None if value is None else f"{value:{style}}" for value, style in numbers]
