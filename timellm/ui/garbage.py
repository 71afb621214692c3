"""Keep garbage collection cheap on a server that has imported large libraries.

Python's collector looks at every object of the libraries, 390,000 with PyTorch, although they live as long as the
server. After each page that took ten times as long as the page itself. Here they are set aside once (`gc.freeze`), so
that the collector sees the objects of the sessions alone: it then collects them often, and each time in little time.
`.streamlit/config.toml` switches off the collection that Streamlit forces after each script.
"""

from __future__ import annotations

import gc
import sys
import threading

_MANY = 50
"""Modules that have to be new before their objects are set aside; importing them took longer than that takes."""


class Libraries:
    """Which modules have been set aside. Safe to share between threads."""

    def __init__(self) -> None:
        self._modules = 0
        self._setting_aside = threading.Lock()

    def set_aside(self) -> bool:
        """Exempt what has been imported from collection; whether there was enough that is new.

        Objects that live at this moment are exempt, too, until it is done again. They are still freed when nothing
        refers to them; only circles among them are not.
        """
        if len(sys.modules) < self._modules + _MANY or not self._setting_aside.acquire(blocking=False):
            return False
        try:
            self._modules = len(sys.modules)
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        finally:
            self._setting_aside.release()
        return True


libraries = Libraries()
"""Those of this process."""
