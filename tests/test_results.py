"""The results that are committed are, byte by byte, those that each ``dvc.lock`` names."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def _tracked() -> list[str]:
    """The files that git has; none where there is no git, or it does not trust the folder."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return []
    return done.stdout.split("\0")[:-1] if done.returncode == 0 else []


TRACKED = _tracked()


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


@pytest.mark.parametrize("lock", [file for file in TRACKED if Path(file).name == "dvc.lock"])
def test_committed_results_are_those_of_the_lock(lock: str) -> None:
    stages = yaml.safe_load((ROOT / lock).read_text(encoding="utf-8"))["stages"]
    named = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    here = [
        path
        for path in named
        if any(file == path or file.startswith(f"{path}/") for file in TRACKED)
    ]
    assert here or not any("metrics" in path for path in named), "no result of it is committed"
    there = [path for path in here if (ROOT / path).exists()]
    assert there == here, "deleted; git checkout brings it back"
    assert [path for path in here if md5(ROOT / path) != named[path]] == []
