"""The import closure and the code digest, on a small house with geocore's own ways of importing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import geocore
from geocore.errors import UserError
from geocore.runs.closure import code_digest, import_closure, module_digests, named_in_strings

HOUSE = {
    "geocore/__init__.py": """
        from geocore._lazy import attach
        __getattr__, __dir__, __all__ = attach(__name__, {"maps": [], "errors": ["UserError"]})
    """,
    "geocore/_lazy.py": "def attach(package, names): ...",
    "geocore/errors.py": "class UserError(Exception): ...",
    "geocore/maps/__init__.py": """
        from geocore._lazy import attach
        __getattr__, __dir__, __all__ = attach(
            __name__, {"grid": ["Grid", "nside"], "planar": ["Planar"], "deep": []}
        )
    """,
    "geocore/maps/grid.py": "from .ring import ring\nclass Grid: ...\nnside = 1",
    "geocore/maps/ring.py": "def ring(): return 1",
    "geocore/maps/planar.py": "class Planar: ...",
    "geocore/maps/deep/__init__.py": "",
    "geocore/maps/deep/leaf.py": "from ...errors import UserError\nfrom .. import planar",
    "geocore/models/__init__.py": "",
    "geocore/models/cnn.py": "class Net: ...",
    "geocore/models/swin.py": "class Net: ...",
    "flows/train.py": "from tasks import fit\nfrom geocore.train import loop",
    "tasks/fit.py": "import geocore.maps.ring as r",
    "geocore/train/__init__.py": "",
    "geocore/train/loop.py": "import json\nimport torch",
}
ROOTS = ["geocore", "geocore._lazy"]
MAPS = [*ROOTS, "geocore.maps"]
GRID = [*MAPS, "geocore.maps.grid", "geocore.maps.ring"]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, text in HOUSE.items():
        write(tmp_path, name, text)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = text.strip("\n").splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    path.write_text("\n".join(line[indent:] for line in lines))
    # Two writes within the clock's tick, of one length: the cache goes by (mtime, size).
    stamp = path.stat().st_mtime_ns + write.count  # type: ignore[attr-defined]
    write.count += 1  # type: ignore[attr-defined]
    os.utime(path, ns=(stamp, stamp))


write.count = 1  # type: ignore[attr-defined]


def closure_of(house: Path, text: str) -> list[str]:
    """The closure of a module with this text, less itself."""
    write(house, "geocore/probe.py", text)
    closure = import_closure(["geocore.probe"], house)
    assert all(path.is_file() for path in closure.values())
    assert list(closure) == sorted(closure)
    assert closure.pop("geocore.probe") == house / "geocore" / "probe.py"
    return list(closure)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ROOTS),
        ("import os.path, torch, geocorex", ROOTS),
        ("import geocore.maps", MAPS),
        ("import geocore.maps.grid", GRID),
        ("from geocore.maps.grid import Grid", GRID),
        ("from geocore.maps import grid", GRID),
        ("from .maps.grid import Grid as G", GRID),
        ("from . import maps\nmaps.grid", GRID),
        # lazy exports
        ("from geocore.maps import Grid", GRID),
        ("from geocore.maps import nside as n", GRID),
        ("from geocore import maps\ndef f(): return maps.Grid()", GRID),
        ("import geocore\nx = geocore.maps.Planar.open", [*MAPS, "geocore.maps.planar"]),
        ("import geocore.maps as m\nm.Planar", [*MAPS, "geocore.maps.planar"]),
        ("from geocore import UserError", [*ROOTS, "geocore.errors"]),
        ("from geocore.maps import deep", [*MAPS, "geocore.maps.deep"]),
        ("from geocore.maps import unknown", MAPS),
        ("from geocore.maps.grid import unknown", GRID),
        (
            "from geocore.maps.deep.leaf import x",
            [
                *ROOTS,
                "geocore.errors",
                "geocore.maps",
                "geocore.maps.deep",
                "geocore.maps.deep.leaf",
                "geocore.maps.planar",
            ],
        ),
        (
            "from geocore.maps import *",
            [
                *ROOTS,
                "geocore.errors",
                "geocore.maps",
                "geocore.maps.deep",
                "geocore.maps.deep.leaf",
                "geocore.maps.grid",
                "geocore.maps.planar",
                "geocore.maps.ring",
            ],
        ),
        ("from geocore.maps.grid import *", GRID),
        # wherever the import stands
        ("def f():\n  def g():\n    import geocore.maps.grid", GRID),
        ("async def f():\n  from geocore.maps import Grid", GRID),
        ("class A:\n  from geocore.maps import Grid", GRID),
        ("try:\n  import geocore.maps.grid\nexcept ImportError: pass", GRID),
        ("if x:\n  pass\nelse:\n  import geocore.maps.grid", GRID),
        # what only a type checker reads
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import geocore.maps.grid", ROOTS),
        ("import typing as t\nif t.TYPE_CHECKING:\n  from geocore.maps import Grid", ROOTS),
        ("if TYPE_CHECKING:\n  pass\nelse:\n  import geocore.maps.grid", GRID),
        ("if not TYPE_CHECKING:\n  import geocore.maps.grid", GRID),
        ("if not TYPE_CHECKING:\n  pass\nelse:\n  import geocore.maps.grid", ROOTS),
        # strings
        ("MODELS = {'cnn': 'geocore.maps.grid'}", GRID),
        ("MODELS = {'cnn': 'geocore.maps.grid:Grid'}", GRID),
        ("MODELS = {'cnn': 'geocore.maps:Grid'}", GRID),
        ("f('geocore.maps:deep.leaf.x')", [
            *ROOTS,
            "geocore.errors",
            "geocore.maps",
            "geocore.maps.deep",
            "geocore.maps.deep.leaf",
            "geocore.maps.planar",
        ]),
        ("f('see geocore.maps.grid')", ROOTS),
        ("f('geocore.maps.grid.')", ROOTS),
        ("f('geocore.maps.Grid')", ROOTS),
        ("f('geocore.maps.none:Grid')", ROOTS),
        ("f('tasks.fit')", ROOTS),
        ("'''geocore.maps.grid'''", ROOTS),
        ("def f():\n  'geocore.maps.grid'", ROOTS),
        ("class A:\n  'geocore.maps.grid'\n  x = 1\n  'geocore.maps.grid'", ROOTS),
    ],
)  # fmt: skip
def test_what_is_followed(house: Path, text: str, expected: list[str]) -> None:
    assert closure_of(house, text) == sorted(expected)


def test_flows_and_tasks_need_no_init(house: Path) -> None:
    assert list(import_closure(["flows.train"], house)) == [
        "flows.train",
        "geocore",
        "geocore._lazy",
        "geocore.maps",
        "geocore.maps.ring",
        "geocore.train",
        "geocore.train.loop",
        "tasks.fit",
    ]


def test_circles_end(house: Path) -> None:
    write(house, "geocore/maps/ring.py", "def ring():\n  from geocore.maps.grid import Grid")
    assert list(import_closure(["geocore.maps.ring"], house)) == GRID


def test_an_unknown_module_and_invalid_python_are_named(house: Path) -> None:
    with pytest.raises(
        ValueError, match=r"modules: 'geocore\.none' is no module of geocore, flows"
    ):
        import_closure(["geocore.none"], house)
    with pytest.raises(ValueError, match="'numpy' is no module"):
        import_closure(["numpy"], house)
    write(house, "geocore/maps/ring.py", "def ring():\n  return (")
    with pytest.raises(UserError, match=r"geocore/maps/ring\.py:2: not valid Python: "):
        import_closure(["geocore.maps.grid"], house)
    write(house, "geocore/maps/__init__.py", "attach(__name__, table)")
    with pytest.raises(ValueError, match="attach takes a literal mapping"):
        import_closure(["geocore.maps"], house)


FUNCTION = '''
"""Module."""
# Why.
def f(x: int, *, y=(1, 2)) -> int:
    """Law."""
    return x + y[0]
'''


@pytest.mark.parametrize(
    "same",
    [
        FUNCTION.replace('"""Law."""', '"""Another law\n\n    with a source."""'),
        FUNCTION.replace('    """Law."""\n', ""),
        FUNCTION.replace('"""Module."""', ""),
        FUNCTION.replace("# Why.", "\n\n\n# Because,\n# and because."),
        FUNCTION.replace("x + y[0]", "(\n        x\n        + y[0]  # the first\n    )"),
    ],
)
def test_the_digest_does_not_see_comments_docstrings_and_format(house: Path, same: str) -> None:
    write(house, "geocore/maps/ring.py", FUNCTION)
    digest = code_digest(["geocore.maps.grid"], house)
    write(house, "geocore/maps/ring.py", same)
    assert code_digest(["geocore.maps.grid"], house) == digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("y[0]", "y[1]"),
        ("(1, 2)", "(1, 3)"),
        ("(1, 2)", "(1, 2.0)"),
        ("(1, 2)", "('1', 2)"),
        ("x + y", "x - y"),
        ("    return", "    pass\n    return"),
        ("*, y", "y"),
        ("-> int", "-> float"),
        ("def f", "@cache\ndef f"),
        ("    return", "    print('Law.')\n    return"),
    ],
)
def test_the_digest_sees_every_statement(house: Path, old: str, new: str) -> None:
    write(house, "geocore/maps/ring.py", FUNCTION)
    before = module_digests(["geocore.maps.grid"], house)
    total = code_digest(["geocore.maps.grid"], house)
    write(house, "geocore/maps/ring.py", FUNCTION.replace(old, new))
    after = module_digests(["geocore.maps.grid"], house)
    assert code_digest(["geocore.maps.grid"], house) != total
    assert [name for name in before if before[name] != after[name]] == ["geocore.maps.ring"]


def test_a_statement_elsewhere_is_not_seen(house: Path) -> None:
    digest = code_digest(["flows.train"], house)
    write(house, "geocore/maps/planar.py", "class Planar: x = 1")
    write(house, "geocore/camera/__init__.py", "x = 1")
    assert code_digest(["flows.train"], house) == digest
    write(house, "geocore/train/loop.py", "import json\nimport torch\nx = 1")
    assert code_digest(["flows.train"], house) != digest


def test_of_the_lazy_exports_only_those_that_are_used_count(house: Path) -> None:
    write(house, "geocore/probe.py", "from geocore.maps import Grid")
    digest = code_digest(["geocore.probe"], house)
    init = HOUSE["geocore/maps/__init__.py"]
    write(
        house, "geocore/maps/__init__.py", init.replace('"deep": []', '"deep": [], "ring": ["r"]')
    )
    assert code_digest(["geocore.probe"], house) == digest
    write(house, "geocore/maps/__init__.py", init + "\n        x = 1")
    assert code_digest(["geocore.probe"], house) != digest
    # The same files, but the name now comes from another of them.
    write(house, "geocore/probe.py", "from geocore.maps import Grid\nimport geocore.maps.ring")
    write(house, "geocore/maps/ring.py", "from geocore.maps import grid\nclass Grid: ...")
    write(house, "geocore/maps/__init__.py", init)
    digest = code_digest(["geocore.probe"], house)
    moved = init.replace('"grid": ["Grid", "nside"]', '"ring": ["Grid"], "grid": ["nside"]')
    before = set(import_closure(["geocore.probe"], house))
    write(house, "geocore/maps/__init__.py", moved)
    assert set(import_closure(["geocore.probe"], house)) == before
    assert code_digest(["geocore.probe"], house) != digest


def test_the_digest_does_not_depend_on_the_place_nor_the_order(
    house: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    for name, text in HOUSE.items():
        write(other, name, text)
    names = ["flows.train", "geocore.models.cnn"]
    assert code_digest(names, house) == code_digest(reversed(names), other)


def test_by_default_it_follows_this_geocore() -> None:
    closure = import_closure(["geocore.runs.store"])
    assert closure["geocore.runs.locks"] == Path(geocore.__file__).parent / "runs" / "locks.py"
    assert {"geocore", "geocore.errors", "geocore.runs", "geocore.runs.digest"} <= set(closure)
    assert "geocore.runs.ledger" not in closure
    assert not any(name.startswith(("geocore.data", "geocore.train")) for name in closure)


TABLE = 'TABLE = {"cnn": "geocore.models.cnn:Net", "swin": "geocore.models.swin:Net", "no": "a:b"}'


def test_modules_that_a_table_names(house: Path) -> None:
    write(house, "geocore/models/table.py", f"import geocore.maps.grid\n{TABLE}")
    found = named_in_strings("geocore.models.table", house)
    assert found == {"geocore.models.cnn", "geocore.models.swin"}
    assert named_in_strings("geocore.models.gone", house) == set()


def test_what_is_left_out_is_neither_counted_nor_followed(house: Path) -> None:
    write(house, "geocore/models/table.py", TABLE)
    write(house, "geocore/models/build.py", "from geocore.models.table import TABLE")
    modules = ["geocore.models.build", "geocore.models.cnn"]
    all_of_them = module_digests(modules, house)
    some = module_digests(modules, house, without=["geocore.models.table"])
    assert all_of_them.keys() - some.keys() == {"geocore.models.table", "geocore.models.swin"}
    assert some.items() <= all_of_them.items()
