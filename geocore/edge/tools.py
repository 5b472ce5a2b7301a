"""What several ways to a chip need: the C++ compiler, and imports that say nothing."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

__all__ = ["COMPILER", "quiet_import"]

COMPILER = "g++"
# What these packages say of their own insides when they are imported.
_KNOWN = ("fast_hadamard_transform package not found", "brevitas.fx is deprecated")


def quiet_import(name: str) -> ModuleType:
    """Import a module of these packages without what it is known to warn of."""
    with warnings.catch_warnings():
        for message in _KNOWN:
            warnings.filterwarnings("ignore", message=message)
        return importlib.import_module(name)
