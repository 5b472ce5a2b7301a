"""Lazy exports: a package hands on the names of its modules without importing them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["attach"]


def attach(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` for a package's ``__init__``.

    ``names`` maps a submodule to the names that it defines; an empty sequence exports the
    submodule itself. The mapping must be a literal: ``geocore.runs.closure`` reads it from the
    source to follow an import through the package to the module that defines the name.
    """
    origin = {name: module for module, exported in names.items() for name in exported}
    submodules = [module for module, exported in names.items() if not exported]
    exported_names = sorted([*origin, *submodules])

    def getattr_(name: str) -> Any:
        if name in submodules:
            return importlib.import_module(f"{package}.{name}")
        if name not in origin:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{origin[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def dir_() -> list[str]:
        return exported_names

    return getattr_, dir_, exported_names
