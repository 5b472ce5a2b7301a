"""Which of our files a module's code depends on, and one digest over all of them.

The closure is static: nothing is imported. It follows imports at module level and inside
functions, attributes of imported packages (``geocore.so3.wigner_d``), lazy exports, and strings
that name a module (``"geocore.models.healpix_encoder:HealpixEncoder"``), which is how registries
are followed. It does not follow names that are put together at run time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from geocore.runs.digest import digest_json
from geocore.runs.source import PACKAGES, Reference, Source, read_source

__all__ = ["code_digest", "import_closure", "module_digests", "named_in_strings"]


def import_closure(modules: Iterable[str], root: Path | None = None) -> dict[str, Path]:
    """Module name -> file, for ``modules`` and all they import from geocore, flows and tasks.

    ``root`` is the folder that these packages lie in, by default the one that holds the running
    geocore. Packages on the way are included with their ``__init__``. A name that is no module
    of a package includes nothing more, but ``from package import *`` includes the whole package.
    Raises ``ValueError`` for a module that does not exist, ``UserError`` for invalid Python.
    """
    return dict(sorted(_follow(modules, root).files.items()))


def module_digests(
    modules: Iterable[str], root: Path | None = None, without: Collection[str] = ()
) -> dict[str, str]:
    """Module name -> digest of its statements, over the import closure of ``modules``.

    Modules in ``without`` are left out, with what is reached through them alone.

    Comments, formatting and docstrings do not change a digest, any statement does. Of a
    package's table of lazy exports those entries count that the closure went through: a new
    export does not make anything rerun that does not use it.
    """
    walk = _follow(modules, root, without)
    return {
        module: digest_json([read_source(path, module).digest, walk.used.get(module, {})])
        for module, path in sorted(walk.files.items())
    }


def code_digest(modules: Iterable[str], root: Path | None = None) -> str:
    """One digest of ``module_digests``: the code that a piece's key stands for."""
    return digest_json(module_digests(modules, root))


def named_in_strings(module: str, root: Path | None = None) -> set[str]:
    """The modules that strings of ``module`` name, as in a table of what is chosen by name.

    Empty if there is no such module.
    """
    walk = _Walk(root)
    path = walk.locate(module)
    if path is None or not path.is_file():
        return set()
    names = (
        ref.name.partition(":")[0] for ref in read_source(path, module).references if ref.module
    )
    return {name for name in names if walk.is_module(name)}


def _follow(modules: Iterable[str], root: Path | None, without: Collection[str] = ()) -> _Walk:
    walk = _Walk(root, without)
    for module in modules:
        if not walk.is_module(module):
            raise ValueError(f"modules: {module!r} is no module of {', '.join(PACKAGES)}")
        walk.refer(Reference(module))
    walk.run()
    return walk


class _Walk:
    """The modules that were reached, and the lazy exports that were gone through."""

    def __init__(self, root: Path | None, without: Collection[str] = ()) -> None:
        self._without = frozenset(without)
        self.files: dict[str, Path] = {}
        self.used: dict[str, dict[str, str]] = {}
        self._found: dict[str, Path | None] = {}
        self._pending: list[str] = []
        here = Path(__file__).resolve().parents[2]
        self._roots = [here] if root is None else [Path(root), here]

    def run(self) -> None:
        while self._pending:
            module = self._pending.pop()
            for reference in self._source(module).references:
                self.refer(reference)

    def refer(self, reference: Reference) -> None:
        """Include every module on the way along the dotted name, as far as there are any."""
        name, _, attribute = reference.name.partition(":")
        if reference.module and not self.is_module(name):
            return
        module = ""
        for part in [*name.split("."), *filter(None, attribute.split("."))]:
            deeper = f"{module}.{part}" if module else part
            if not self.is_module(deeper):
                self._refer_to_export(module, part)
                return
            self._include(deeper)
            module = deeper
        if reference.star:
            self._include_all(module)

    def is_module(self, module: str) -> bool:
        return self.locate(module) is not None

    def _refer_to_export(self, package: str, name: str) -> None:
        if package not in self.files or name not in self._source(package).exports:
            return
        submodule = self._source(package).exports[name]
        if self.used.setdefault(package, {}).setdefault(name, submodule) == submodule:
            self.refer(Reference(f"{package}.{submodule}"))

    def _include(self, module: str) -> None:
        path = self.locate(module)
        if module in self._without:
            return
        if path is not None and path.is_file() and module not in self.files:
            self.files[module] = path
            self._pending.append(module)

    def _include_all(self, package: str) -> None:
        path = self.locate(package)
        if path is None or (path.is_file() and path.name != "__init__.py"):
            return
        folder = path.parent if path.is_file() else path
        if package in self.files:
            self.used[package] = dict(self._source(package).exports)
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            self.refer(Reference(".".join([package, *parts]).removesuffix(".__init__")))

    def _source(self, module: str) -> Source:
        return read_source(self.files[module], module)

    def locate(self, module: str) -> Path | None:
        """The module's file; its folder, for a package without ``__init__``; None if unknown."""
        if module not in self._found:
            self._found[module] = self._search(module)
        return self._found[module]

    def _search(self, module: str) -> Path | None:
        top, *rest = module.split(".")
        if top not in PACKAGES or not all(part.isidentifier() for part in rest):
            return None
        for root in self._roots:
            if (root / top).is_dir():
                path = root.joinpath(top, *rest)
                candidates = [path / "__init__.py", path.with_suffix(".py"), path]
                return next((c for c in candidates if c.is_file() or c.is_dir()), None)
        return None
