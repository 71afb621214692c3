"""The comparisons of a run's own model with every other one, by every metric that has them, kept beside the scores.

Inputs: a file of errors by window. Outputs: `Comparison`s, and the file comparisons.json, from which pages and the
command line read them: the tests need a library that takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from timellm.errors import CheckpointError, one_line
from timellm.evaluation.metrics import COMPARED
from timellm.evaluation.significance import Comparison, compare
from timellm.evaluation.window_errors import read_window_errors
from timellm.files.sealed import read_sealed_json, write_sealed_json

COMPARISONS = "comparisons.json"
VERSION = 1


def compare_with_own(window_errors: Iterable[Path], own: str) -> tuple[Comparison, ...]:
    """Compare a run's own model with every other model in these files, by every metric that has comparisons.

    The first file has the errors of `own`; a model that two files have is taken from the later one.

    Raises:
        ConfigError: the files are of different windows, or the first one has no errors of `own`.
        CheckpointError: a file is missing or damaged.
    """
    paths = list(window_errors)
    found = []
    for metric in COMPARED:
        files = [read_window_errors(path, metric) for path in paths]
        holder = {model: errors for errors in files for model in errors.models if model != own}
        found += [compare(own, model, files[0], other_errors=errors) for model, errors in holder.items()]
    return tuple(found)


def by_other(comparisons: Iterable[Comparison], metric: str) -> Mapping[str, Comparison]:
    """Those of one metric, by the name of the other model."""
    return {one.other: one for one in comparisons if one.metric == metric}


def write_comparisons(path: Path, comparisons: Iterable[Comparison]) -> None:
    """Write them to a file with a version.

    Raises:
        OSError: the file cannot be written; the one before stays.
    """
    write_sealed_json(path, {"version": VERSION, "rows": [one.to_dict() for one in comparisons]})


def read_comparisons(path: Path) -> tuple[Comparison, ...]:
    """Inverse of `write_comparisons`; none if there is no file, as in runs of earlier versions.

    Raises:
        CheckpointError: the file is damaged, or a newer version wrote it.
    """
    if not path.is_file():
        return ()
    try:
        tree = read_sealed_json(path)
        version = tree["version"]
        if version == VERSION:
            return tuple(Comparison.from_dict(row) for row in tree["rows"])
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({one_line(error)}); evaluate the run again") from error
    except (ValueError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({one_line(error)}); evaluate the run again") from error
    raise CheckpointError(
        f"{path} is of version {version}, and this program reads up to {VERSION}; install a newer one"
    )
