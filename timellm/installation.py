"""How this program is installed, as a checkout or as a package, and what else can be installed."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that the package lies in: the checkout, or the environment's folder of packages."""
FROM_CHECKOUT = all((PROJECT / name).is_file() for name in ("app.py", "pyproject.toml"))


def app_script() -> Path:
    """The script that `streamlit run` serves; its settings lie beside it."""
    return PROJECT / "app.py" if FROM_CHECKOUT else PROJECT / "timellm" / "app" / "app.py"


def install_command(extra: str, packages: Collection[str] = ()) -> str:
    """The command that installs what an optional part needs, or only some packages of it."""
    try:
        wanted = [line for line in _requirements(extra) if not packages or line.partition("==")[0] in packages]
    except metadata.PackageNotFoundError:  # only the code was sent here, as to a node of a cluster
        return f"pip install -r requirements-{extra}.txt"
    return f"pip install {shlex.join(wanted)}"


def _requirements(extra: str) -> list[str]:
    if FROM_CHECKOUT:
        lines = (PROJECT / f"requirements-{extra}.txt").read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line and not line.startswith("#")]
    found = [line.partition(";") for line in metadata.requires("timellm") or ()]
    return [line.strip() for line, _, condition in found if f'extra == "{extra}"' in condition]
