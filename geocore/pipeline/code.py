"""The code that a key stands for: the import closure of its modules, but for the plumbing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from geocore.runs.closure import module_digests, named_in_strings
from geocore.runs.digest import digest_json

__all__ = ["deciding_code", "is_plumbing"]

# What moves bytes about and validates values, but cannot change a result: a key does not depend
# on it, so that a better error message does not train a network again. DVC still lists it.
_PLUMBING = (
    "geocore.runs",
    "geocore.config",
    "geocore.errors",
    "geocore._lazy",
    "geocore.pipeline.stage",
    "geocore.pipeline.piece",
    "geocore.pipeline.code",
    "geocore.pipeline.run",
    "geocore.pipeline.progress",
    "geocore.pipeline.dvcfile",
    "geocore.pipeline.inputs",
    # Put together, as this file is read by every stage: a name written out would make each depend
    # on what it imports.
    ".".join(("geocore.pipeline", "on_cluster")),
)

# Tables of modules by name, of which parameters choose one. Put together for the same reason.
_CATALOGUES = (".".join(("geocore.models", "catalogue")),)


def deciding_code(modules: Iterable[str], root: Path | None = None) -> str:
    """One digest over the statements of ``modules`` and all they import, but for the plumbing.

    Where ``modules`` name one that a catalogue lists, the choice is made: the catalogue is neither
    counted nor followed, so that a change in one network trains no other again. ``root`` is the
    folder that the packages lie in, by default the one of the running geocore.
    """
    modules = tuple(modules)
    chosen = [name for name in _CATALOGUES if named_in_strings(name, root) & set(modules)]
    digests = module_digests(modules, root, without=chosen)
    return digest_json({name: digests[name] for name in digests if not _is_plumbing(name)})


def is_plumbing(path: str) -> bool:
    """Whether a file or folder of the project is code that decides no result: flows, tasks, and
    what no key stands for.
    """
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return path.partition("/")[0] in ("flows", "tasks") or _is_plumbing(module)


def _is_plumbing(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _PLUMBING)
