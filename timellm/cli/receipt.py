"""The verb that measures what each quantization of a backbone costs, and how true it is, on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from timellm.cli.answer import Answer, columns

if TYPE_CHECKING:
    from timellm.config import RunConfig
    from timellm.training.receipt import Receipt, ReceiptRow


def receipt(arguments: argparse.Namespace) -> Answer:
    """float32, bfloat16, 8 bit and 4 bit of a backbone side by side.

    Raises:
        TimeLLMError: the table, a setting or the backbone cannot be used.
    """
    from tqdm import tqdm

    from timellm.training.receipt import measure_receipt, verdict

    config = _configuration(arguments)
    with tqdm(total=1.0, bar_format="{percentage:3.0f}% |{bar:20}| {desc}", dynamic_ncols=True, file=sys.stderr) as bar:

        def show(share: float, doing: str) -> None:
            bar.set_description_str(doing, refresh=False)
            bar.update(share - bar.n)

        found = measure_receipt(config, on_progress=show)
    assert found is not None, "nobody could have stopped it"
    said = verdict(found)
    return Answer({**json.loads(found.to_json()), "verdict": said}, _in_words(found, said))


def _configuration(arguments: argparse.Namespace) -> RunConfig:
    """The defaults with --set and the backbone; the context and horizon of a table that is given suit it."""
    from timellm.config import RunConfig, parse_setting
    from timellm.data.samples import samples
    from timellm.data.season import suggest_lengths
    from timellm.data.table import load_table

    settings = dict(map(parse_setting, arguments.settings))
    if arguments.backbone is not None:
        settings["backbone"] = arguments.backbone
    path = arguments.data or samples()[0].path
    config = RunConfig.create(path.resolve()).updated(**settings)
    if arguments.data is not None:
        lengths = zip(("context", "horizon"), suggest_lengths(load_table(config.data), config.data), strict=True)
        chosen = {name: rows for name, rows in lengths if name not in settings}
        for name, rows in chosen.items():
            print(f"chosen for this table: {name}={rows}", file=sys.stderr)
        config = config.updated(**chosen)
    return config


def _in_words(found: Receipt, said: str) -> str:
    from timellm.training.receipt.verdict import BUSY_SHARE, NAMES

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
