"""The verb `anomalies`: values outside their band, in the test period or in rows that came since."""

from __future__ import annotations

import argparse

from timellm.cli.answer import Answer, columns
from timellm.cli.output import check_out, write_out
from timellm.cli.results import opened, reading_of, run_inputs

_SHOWN = 20


def anomalies(arguments: argparse.Namespace) -> Answer:
    """List the values outside the band of one-step forecasts.

    Raises:
        TimeLLMError: the run folder, the newer table or the output file cannot be used, or the level has no band.
    """
    import pandas as pd

    from timellm.data.exported import write_csv
    from timellm.evaluation.intervals import check_levels
    from timellm.forecasting.anomalies import new_points, outside, points_of_channel, said_of

    (level,) = check_levels([arguments.level])
    if arguments.out is not None:
        check_out(arguments.out, force=arguments.force, inputs=run_inputs(arguments.run_dir, arguments.data))
    reading = reading_of(arguments)
    if arguments.data is None:
        forecasts = opened(arguments.run_dir).run_forecasts()
        points = pd.concat(
            [points_of_channel(forecasts, channel, level) for channel in forecasts.prepared.table.channels],
            ignore_index=True,
        )
    else:
        from timellm.forecasting.fitted import FittedRun

        run = FittedRun.load(arguments.run_dir, trust_remote_code=arguments.trust_remote_code)
        points = new_points(run, run.newer(arguments.data.resolve(), **reading), level)
    found = outside(points)
    if arguments.out is not None:
        write_out(arguments.out, lambda path: write_csv(found, path))
    shown = found.head(_SHOWN)[["unique_id", "ds", "y", "yhat", "lower", "upper", "outside"]]
    lines = [said_of(points, level), ""]
    lines.append(columns(list(shown), shown.itertuples(index=False, name=None)))
    if len(found) > _SHOWN:
        where = f"all are in {arguments.out}" if arguments.out else "--out F.csv writes all of them"
        lines.append(f"The {_SHOWN} farthest of {len(found):,}; {where}.")
    data = {"level": level, "points": len(points), "outside": found.to_dict("records"), "sentence": lines[0]}
    return Answer(data, "\n".join(lines))
