"""The six sets of the M4 competition: files, horizons, seasons, and words for the prompt.

Inputs: the user's folder. Outputs: `M4Set`s, and the paths of their files or what is missing. Horizons and seasons are
those of the competition's guide (Makridakis et al. 2020, "The M4 Competition", International Journal of Forecasting 36
(1)), which scores weekly and daily series without a season.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from timellm.protocols.protocol import MissingFile

_SOURCE = "Makridakis et al., the M4 competition (2018): the repository M4-methods of Mcompetitions, "
ALL_SERIES = 100_000
"""Of all six sets, as the competition's guide counts them."""
ALL_NAIVE2 = "submission-Naive2.csv"
"""The competition's file of all its series."""


@dataclass(frozen=True)
class M4Files:
    """The files of one set."""

    training: Path
    test: Path
    naive2: Path | None
    """The competition's own forecasts by Naive2; None where the folder has none."""


@dataclass(frozen=True)
class M4Set:
    """One set: all series of one step between values."""

    name: str
    horizon: int
    season: int
    """Values of one season, for MASE and Naive2; 1: none."""
    step: str
    """Step of the rows on which the series are laid, as pandas writes it. Its dates are made up."""
    description: str
    """What the data is, for the prompt."""
    longer_context: int | None = None
    """Values that a model sees, where more than two horizons had a lower error before the test part (docs)."""

    @property
    def context(self) -> int:
        """Values that a model sees before it forecasts: two horizons, as in the published runs, or more."""
        return self.longer_context or 2 * self.horizon

    @property
    def _files(self) -> tuple[str, str]:
        return f"{self.name}-train.csv", f"{self.name}-test.csv"

    @property
    def _naive2_files(self) -> tuple[str, str]:
        return f"Naive2-{self.name[0]}.csv", ALL_NAIVE2

    def there(self, folder: Path) -> tuple[str, ...]:
        """Names of those of its files that a folder has."""
        return tuple(name for name in (*self._files, *self._naive2_files) if (folder / name).is_file())

    def find(self, folder: Path) -> M4Files | tuple[MissingFile, ...]:
        """Its files in a folder, or those that are missing."""
        training, test = (folder / name for name in self._files)
        missing = [
            MissingFile(path.name, f"M4 {self.name}, {part}", f"{_SOURCE}{place}.")
            for path, part, place in (
                (training, "the values to learn from", "folder Dataset/Train"),
                (test, "the values that were held out", "folder Dataset/Test"),
            )
            if not path.is_file()
        ]
        if missing:
            return tuple(missing)
        naive2 = [folder / name for name in self._naive2_files if (folder / name).is_file()]
        return M4Files(training, test, naive2[0] if naive2 else None)

    @property
    def missing_naive2(self) -> MissingFile:
        """What is said where the competition's own forecasts by Naive2 are missing."""
        return MissingFile(ALL_NAIVE2, "M4, the forecasts by Naive2", f"{_SOURCE}folder Point Forecasts.")


_OF_MANY_FIELDS = "from economics, finance, demography, industry and other fields, each with a level of its own."
M4_SETS: dict[str, M4Set] = {
    one.name: one
    for one in (
        M4Set("Yearly", 6, 1, "YS", f"Yearly series of the M4 competition {_OF_MANY_FIELDS}"),
        M4Set("Quarterly", 8, 4, "QS", f"Quarterly series of the M4 competition {_OF_MANY_FIELDS}"),
        M4Set("Monthly", 18, 12, "MS", f"Monthly series of the M4 competition {_OF_MANY_FIELDS}"),
        M4Set("Weekly", 13, 1, "W", f"Weekly series of the M4 competition {_OF_MANY_FIELDS}", 65),
        M4Set("Daily", 14, 1, "D", f"Daily series of the M4 competition {_OF_MANY_FIELDS}"),
        M4Set("Hourly", 48, 24, "h", f"Hourly series of the M4 competition {_OF_MANY_FIELDS}", 480),
    )
}
"""Every set by its name, in the order of the competition."""
