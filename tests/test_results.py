"""The results that are committed are, byte by byte, those that each ``dvc.lock`` names."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LOCKS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "dvc.lock", *(ROOT / "studies").rglob("dvc.lock")]
)


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files that git has; of them alone a clone can hold anything against its locks."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git here: what is committed is not known")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split("\0")


def md5(path: Path) -> str:
    """As DVC digests a file; of a folder the list of its files, and ``.dir`` behind it."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = {
        file.relative_to(path).as_posix(): md5(file) for file in path.rglob("*") if file.is_file()
    }
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    content = json.dumps(listed, sort_keys=True).encode()
    return f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}.dir"


@pytest.mark.parametrize("lock", LOCKS)
def test_committed_results_are_those_of_the_lock(lock: str, tracked: list[str]) -> None:
    stages = yaml.safe_load((ROOT / lock).read_text(encoding="utf-8"))["stages"]
    named = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    here = [
        path
        for path in named
        if any(file == path or file.startswith(f"{path}/") for file in tracked)
    ]
    assert here or not any("metrics" in path for path in named), "no result of it is committed"
    assert [path for path in here if md5(ROOT / path) != named[path]] == []
