"""What one Python file refers to, read from its syntax tree without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from geocore.errors import UserError
from geocore.runs.digest import digest_bytes

__all__ = ["PACKAGES", "Reference", "Source", "read_source"]

PACKAGES = ("geocore", "flows", "tasks")

_DOTTED = re.compile(r"geocore(\.[^\W\d]\w*)+(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")
_Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_AnyNode = TypeVar("_AnyNode", bound=ast.AST)


@dataclass(frozen=True)
class Reference:
    """A dotted name that a file refers to.

    ``module`` says that the whole name must be a module to count: it stood in a string, where
    only an exact match is more than a coincidence. ``star`` marks ``from name import *``.
    """

    name: str
    module: bool = False
    star: bool = False


@dataclass(frozen=True)
class Source:
    """A file's references, its lazy exports (name -> submodule) and its digest.

    The digest is over the syntax tree: comments, formatting and docstrings do not count, and
    neither does the table of lazy exports, of which only the entries that are used matter.
    """

    references: tuple[Reference, ...]
    exports: Mapping[str, str]
    digest: str


_cache: dict[tuple[str, str], tuple[tuple[int, int], Source]] = {}


def read_source(path: Path, module: str) -> Source:
    """Parse the file of ``module``; parsed once for each (path, mtime, size) in a process.

    Raises ``UserError`` naming file and line if it is not valid Python.
    """
    status = path.stat()
    stamp = (status.st_mtime_ns, status.st_size)
    known = _cache.get((str(path), module))
    if known is not None and known[0] == stamp:
        return known[1]
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UserError(f"{path}:{line}: not valid Python: {error.args[0]}") from error
    source = _describe(tree, module, path)
    _cache[str(path), module] = (stamp, source)
    return source


def _describe(tree: ast.Module, module: str, path: Path) -> Source:
    is_package = path.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    nodes = list(_running(tree))
    references: dict[Reference, None] = {}  # a set that keeps its order
    bound: dict[str, str] = {}  # local name -> dotted name, for what is imported from our packages
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                references[Reference(alias.name)] = None
                top = alias.name.partition(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            for alias in node.names if base else ():
                if alias.name == "*":
                    references[Reference(base, star=True)] = None
                    continue
                references[Reference(f"{base}.{alias.name}")] = None
                bound[alias.asname or alias.name] = f"{base}.{alias.name}"
    for node in nodes:
        if isinstance(node, ast.Attribute):
            chain = _chain(node)
            if chain and chain[0] in bound:
                references[Reference(".".join([bound[chain[0]], *chain[1:]]))] = None
        elif isinstance(node, ast.Constant) and _DOTTED.fullmatch(str(node.value)):
            references[Reference(str(node.value), module=True)] = None
    exports = _take_exports(tree, path) if is_package else {}
    ours = tuple(r for r in references if r.name.partition(".")[0] in PACKAGES)
    return Source(ours, exports, digest_bytes("".join(_dump(_bare(tree))).encode()))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads, and bare strings."""
    yield node
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If):
        test, negated = node.test, False
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, negated = test.operand, True
        name = getattr(test, "attr", None) or getattr(test, "id", None)
        if name == "TYPE_CHECKING":
            children = list(node.body if negated else node.orelse)
    for child in children:
        if not _is_bare_string(child):
            yield from _running(child)


def _is_bare_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The absolute name that a ``from ... import`` imports from; empty if it leaves the package."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    if node.level > len(parts):
        return ""
    return ".".join(parts[: len(parts) - node.level + 1] + ([node.module] if node.module else []))


def _chain(node: ast.Attribute) -> list[str]:
    """``a.b.c`` as its parts; empty if it does not start at a plain name."""
    parts: list[str] = []
    current: ast.expr = node
    while isinstance(current, ast.Attribute):
        parts.append(current.attr)
        current = current.value
    return [current.id, *reversed(parts)] if isinstance(current, ast.Name) else []


def _take_exports(tree: ast.Module, path: Path) -> dict[str, str]:
    """Read the literal that ``attach`` is given, and take it out of the tree."""
    exports: dict[str, str] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if (getattr(node.func, "id", None) or getattr(node.func, "attr", None)) != "attach":
            continue
        named = [word.value for word in node.keywords if word.arg == "names"]
        tables = [*node.args[1:2], *named]
        try:
            for table in tables:
                for submodule, names in ast.literal_eval(table).items():
                    exports |= dict.fromkeys(names, submodule)
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(f"{path}:{node.lineno}: attach takes a literal mapping") from error
        node.args, node.keywords = node.args[:1], []
    return exports


def _bare(tree: ast.Module) -> ast.Module:
    """The tree without docstrings and other bare strings."""
    for node in ast.walk(tree):
        if isinstance(node, _Definition):
            node.body = [child for child in node.body if not _is_bare_string(child)]
    return tree


def _dump(value: object) -> Iterator[str]:
    """A text of the tree that tells trees apart, the same on every Python version we support.

    Absent fields are left out: later versions add fields that stay empty for older syntax.
    """
    if isinstance(value, list):
        yield "["
        for item in value:
            yield from _dump(item)
            yield ","
        yield "]"
    elif isinstance(value, ast.AST):
        yield type(value).__name__
        yield "("
        for name, field in ast.iter_fields(value):
            if name in ("ctx", "kind", "type_comment"):
                continue  # the first follows from the place; the others change nothing
            if (field is None and name != "value") or field == []:
                continue
            yield f"{name}="
            yield from _dump(field)
            yield ","
        yield ")"
    else:
        yield f"{type(value).__name__}:{value!r}"
