"""The verb `forecast-many`: very many series, by this process or by the workers of a cluster."""

from __future__ import annotations

import argparse
import sys
import time

from timellm.cli.answer import Answer

_SAY_EVERY_S = 5.0


def forecast_many(arguments: argparse.Namespace) -> Answer:
    """Forecast the end of every series of long files into a folder of Parquet parts.

    Raises:
        TimeLLMError: the run, a file or the folder cannot be used, or the cluster cannot be reached.
    """
    from timellm.errors import ConfigError
    from timellm.forecasting.ray_head import check_head

    if arguments.ray not in (None, "auto"):
        check_head(arguments.ray)  # before torch is loaded, which takes seconds
    from timellm.forecasting import many

    started, said = time.monotonic(), time.monotonic()

    def on_part(done: many.Done) -> None:
        nonlocal said
        if (now := time.monotonic()) - said >= _SAY_EVERY_S:
            said = now
            print(f"{done.series:,} series, {done.series / (now - started):,.0f} a second", file=sys.stderr)

    paths = (arguments.run_dir, arguments.data, arguments.out)
    if arguments.ray is None:
        if arguments.workers != 1 or arguments.gpus:
            raise ConfigError("--workers and --gpus are for a cluster; name it with --ray, such as --ray auto")
        done = many.forecast_many(*paths, on_part=on_part)
    else:
        from timellm.forecasting.spread import Spread, forecast_spread

        spread = Spread(arguments.ray, arguments.workers, arguments.cpus, arguments.gpus)
        done = forecast_spread(*paths, spread=spread, on_part=on_part)
    seconds = time.monotonic() - started
    data = {"out": arguments.out, "series": done.series, "left_out": done.left_out, "parts": done.parts}
    text = f"{arguments.out}: {done.series:,} series in {done.parts:,} parts, {seconds:,.0f} s"
    if done.left_out:
        text += f"; {done.left_out:,} left out, each with its reason in _left-out-*.csv there"
    return Answer(data | {"seconds": seconds}, text)
