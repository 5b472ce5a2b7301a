"""What a firmware needs beside this package: optional libraries and a C++ compiler."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import warnings
from types import ModuleType

from geocore.errors import UserError

__all__ = ["COMPILER", "quiet_import", "require_tools"]

COMPILER = "g++"
_PACKAGES = ("brevitas", "hls4ml", "onnx", "onnxoptimizer", "onnxruntime", "qonnx")
# What these packages say of their own insides when they are imported.
_KNOWN = ("fast_hadamard_transform package not found", "brevitas.fx is deprecated")


def require_tools() -> None:
    """Raise ``UserError`` for a package or a compiler that is missing: before hours, not after."""
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"{package} is not installed; expected it here: pip install 'geocore[firmware]'"
            )
    if shutil.which(COMPILER) is None:
        raise UserError(
            f"{COMPILER}: not found on PATH; expected a C++ compiler (Debian: apt install g++)"
        )


def quiet_import(name: str) -> ModuleType:
    """Import a module of these packages without what it is known to warn of."""
    with warnings.catch_warnings():
        for message in _KNOWN:
            warnings.filterwarnings("ignore", message=message)
        return importlib.import_module(name)
