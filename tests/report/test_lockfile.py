"""``dvc.lock`` and DVC's cache, read without DVC."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.report.lockfile import Cache, Lock, Locked, parse_lock

LOCK = """
schema: '2.0'
stages:
  train:
    cmd: python -m flows.train
    deps:
    - {path: data/raw, hash: md5, md5: aa.dir, size: 3, nfiles: 2}
    - {path: flows/train.py, md5: bb}
    - {path: geocore/train, md5: cc.dir}
    params:
      params.yaml: {train.lr: 1e-3, train.note: null}
    outs:
    - {path: results/train/curve.csv, md5: dd}
  gate:
    cmd: python -m flows.gate
"""


def test_what_stages_read_and_gave() -> None:
    lock = parse_lock(LOCK, "main")
    assert lock.code() == {"flows/train.py", "geocore/train"}
    assert lock.data() == {"data/raw": "aa.dir", "results/train/curve.csv": "dd"}
    assert lock.outs == {"results/train/curve.csv": "dd"}
    assert lock.stages["train"].params == {"train.lr": 0.001, "train.note": None}
    assert lock.stages["gate"] == Locked()
    assert lock.sources() == {"data/raw"}
    assert parse_lock("schema: '2.0'", "main") == Lock()


def test_a_long_line_changes_nothing() -> None:
    # It decides which of two parsers reads the text.
    assert parse_lock(f"{LOCK}\n# {'x' * 2000}\n", "main") == parse_lock(LOCK, "main")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stages: [1]", "main: dvc.lock: holds no stages; expected what dvc repro writes"),
        ("stages: {a: 1}", "main: dvc.lock: holds no stages; expected what dvc repro writes"),
        (
            "stages: {a: {deps: [{md5: x}]}}",
            "main: dvc.lock: holds no stages; expected what dvc repro writes",
        ),
        ("[1]", "main: dvc.lock: holds [1]; expected a mapping of keys"),
        ("", "main: dvc.lock: is empty; expected a mapping of keys"),
        ("a: " + "[" * 100_000, "main: dvc.lock: nested too deeply; expected a mapping of keys"),
        (
            "\n".join(" " * depth + "a:" for depth in range(3000)),
            "main: dvc.lock: nested too deeply; expected a mapping of keys",
        ),
    ],
)
def test_what_is_no_lock_is_told_in_a_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_lock(text, "main")
    assert caught.value.lines == (line,)


def put(folder: Path, md5: str, content: bytes) -> None:
    path = folder / "files/md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_the_cache_by_digest(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    put(tmp_path / ".dvc/cache", "a" * 32, b"words")
    listed = [{"md5": "a" * 32, "relpath": "x.png"}]
    put(tmp_path / ".dvc/cache", "b" * 32 + ".dir", json.dumps(listed).encode())
    put(tmp_path / ".dvc/cache", "c" * 32 + ".dir", b"[{]")
    assert cache.read("a" * 32) == b"words"
    assert cache.folder("b" * 32 + ".dir") == {"x.png": "a" * 32}
    assert cache.folder("c" * 32 + ".dir") is None, "damaged"
    put(tmp_path / ".dvc/cache", "e" * 32 + ".dir", b"[" * 100_000)
    assert cache.folder("e" * 32 + ".dir") is None, "nested deeply"
    assert cache.read("d" * 32) is None
    assert cache.folder("d" * 32 + ".dir") is None


@pytest.mark.parametrize("md5", ["", "..", "aa/../../../secret", "A" * 32, "a" * 32 + ".dir.dir"])
def test_no_digest_leads_out_of_the_cache(tmp_path: Path, md5: str) -> None:
    (tmp_path / ".dvc/cache/files/md5/aa").mkdir(parents=True)
    (tmp_path / ".dvc/secret").write_text("secret")
    assert Cache(tmp_path).read(md5) is None


@pytest.mark.parametrize("name", ["config", "config.local"])
def test_a_cache_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / name).write_text(
        "[core]\n    analytics = false\n[cache]\n    dir = ../far\n"
    )
    put(tmp_path / "far", "a" * 32, b"words")
    assert Cache(tmp_path).read("a" * 32) == b"words"


@pytest.mark.parametrize("level", ["SYSTEM", "GLOBAL"])
def test_a_cache_that_the_machine_or_the_user_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv(f"DVC_{level}_CONFIG_DIR", str(tmp_path / "etc"))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config").write_text("[cache]\n    dir = ../shared\n")
    put(tmp_path / "shared", "a" * 32, b"words")
    assert Cache(tmp_path / "project").read("a" * 32) == b"words", "from that file's folder"
    (tmp_path / "project/.dvc").mkdir(parents=True)
    (tmp_path / "project/.dvc/config").write_text("[cache]\n    dir = own\n")
    assert Cache(tmp_path / "project").read("a" * 32) is None, "the project's own counts"
    put(tmp_path / "project/.dvc/own", "a" * 32, b"words")
    assert Cache(tmp_path / "project").read("a" * 32) == b"words"


def test_configurations_lie_where_dvc_seeks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dirs = pytest.importorskip("dvc.dirs")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "machine"))
    for level in ("SYSTEM", "GLOBAL"):
        monkeypatch.delenv(f"DVC_{level}_CONFIG_DIR", raising=False)
    for place, name in ((dirs.system_config_dir(), "one"), (dirs.global_config_dir(), "two")):
        Path(place).mkdir(parents=True)
        Path(place, "config").write_text(f"[cache]\n    dir = {tmp_path / name}\n")
        put(tmp_path / name, "a" * 32, name.encode())
        assert Cache(tmp_path / "project").read("a" * 32) == name.encode(), "the user's comes last"


def test_a_damaged_configuration_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("nonsense")
    put(tmp_path / ".dvc/cache", "a" * 32, b"words")
    assert Cache(tmp_path).read("a" * 32) == b"words"
