"""A project under git with a pipeline that has run: files by hand, DVC's cache by hand."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["CURVE", "GATES", "METRICS", "PARAMS", "Project", "png"]

PARAMS: dict[str, Any] = {"data": {"seed": 0}, "train": {"lr": 0.002, "epochs": 3, "note": None}}
METRICS: dict[str, Any] = {"test": {"accuracy": 0.95, "nll": 0.2, "n": 359, "ece": None}}
GATES: dict[str, Any] = {
    "accuracy_min": {
        "metric": "accuracy", "value": 0.95, "bound": 0.9, "sense": "min", "passed": True
    }
}  # fmt: skip
CURVE = "epoch,val_nll,val_accuracy\n0,2.3,0.1\n1,1.1,0.6\n2,0.2,0.95\n"
CODE = {
    "dvc.yaml": "stages: {train: {cmd: python -m flows.train}}\n",
    "flows/train.py": "import geocore.train.loop\n",
    "geocore/__init__.py": "",
    "geocore/train/__init__.py": "",
    "geocore/train/loop.py": "RATE = 1\n",
    "geocore/cli/app.py": "UNUSED = 1\n",
    "tasks/train.py": "",
}


def png(shade: int = 0, side: int = 2) -> bytes:
    """A grey picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    rows = (b"\0" + bytes([shade] * side)) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


class Project:
    """A repository at ``root``; each ``write_*`` puts one thing there, ``commit`` all of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = {"data/raw": "table"}
        self.owned: dict[str, bytes | dict[str, bytes]] = {
            "results/train/curve.csv": CURVE.encode(),
            "results/evaluate/pictures": {"confusion.png": png(10), "kept.png": png(20)},
        }
        self.code_deps = ["flows/train.py", "geocore/train", "tasks/train.py"]
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        for path, text in CODE.items():
            self.write(path, text)
        self.write(".gitignore", "/.geocore\n/.dvc\n__pycache__\n/results/**/*.csv\n*.png\n")
        self.write_params(PARAMS)
        self.write_metrics(METRICS)
        self.write_gates(GATES)

    def git(self, *arguments: str) -> str:
        """Run git with nothing of this machine's configuration."""
        who = {f"GIT_{role}_{key}": f"{role}@example.org" for role in ("AUTHOR", "COMMITTER")
               for key in ("NAME", "EMAIL")}  # fmt: skip
        when = {"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"}
        alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **who, **when, **alone},
        )
        return done.stdout.strip()

    def write(self, path: str, content: str | bytes) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def write_params(self, params: Mapping[str, Any]) -> None:
        self.params = params
        self.write("params.yaml", yaml.safe_dump(dict(params)))

    def write_metrics(self, metrics: Mapping[str, Any], stage: str = "evaluate") -> None:
        self.write(f"results/{stage}/metrics.json", json.dumps(metrics))

    def write_gates(self, gates: Mapping[str, Any], stage: str = "evaluate") -> None:
        self.write(f"results/{stage}/gates.json", json.dumps(gates))

    def repro(self) -> None:
        """Write ``dvc.lock`` and the results that DVC owns, as ``dvc repro`` would leave them."""
        own = ["data/own"] if (self.root / "data/own").is_dir() else []
        deps = [*self.data, *own, *self.code_deps]
        outs = [self._keep(path, content) for path, content in self.owned.items()]
        stage = {
            "cmd": "python -m flows.train",
            "deps": [{"path": path, "hash": "md5", "md5": self._md5(path)} for path in deps],
            "params": {"params.yaml": {"train.lr": self.params["train"]["lr"]}},
            "outs": outs,
        }
        made = [{"path": path, "hash": "md5", "md5": self._md5(path)} for path in self.data]
        stages = {"fetch": {"cmd": "python -m flows.fetch", "outs": made}, "train": stage}
        lock = {"schema": "2.0", "stages": stages}
        self.write("dvc.lock", yaml.safe_dump(lock))

    def commit(self, message: str = "state", *, repro: bool = True) -> str:
        """Commit all there is, after ``repro`` unless told not to; return the commit."""
        if repro:
            self.repro()
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)
        return self.git("rev-parse", "HEAD")

    def experiment(self, name: str, commit: str, baseline: str = "0" * 40) -> None:
        """A commit under the name that ``dvc exp`` would give it."""
        self.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)

    def entry(self, run: str, stage: str = "train", **more: Any) -> dict[str, Any]:
        """A run of the ledger, done."""
        entry = {"run": run, "stage": stage, "state": "done", "started": run, **more}
        self.write(f".geocore/ledger/{run}.json", json.dumps(entry))
        return entry

    def cached(self, content: bytes) -> str:
        """Put ``content`` into DVC's cache; return its md5."""
        md5 = hashlib.md5(content).hexdigest()
        self.write(f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}", content)
        return md5

    def forget_cache(self) -> None:
        """What a fresh clone has of DVC's cache: nothing."""
        for path in (self.root / ".dvc").rglob("*"):
            if path.is_file():
                path.unlink()

    def _keep(self, path: str, content: bytes | Mapping[str, bytes]) -> dict[str, Any]:
        if isinstance(content, bytes):
            self.write(path, content)
            return {"path": path, "hash": "md5", "md5": self.cached(content)}
        for name, inner in content.items():
            self.write(f"{path}/{name}", inner)
        listed = self._listed((name, self.cached(inner)) for name, inner in content.items())
        md5 = hashlib.md5(listed).hexdigest()
        self.write(f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}.dir", listed)
        return {"path": path, "hash": "md5", "md5": f"{md5}.dir"}

    def _md5(self, path: str) -> str:
        """What DVC writes for a dependency: a file's, a folder's, or made up for data."""
        target = self.root / path
        if path in self.data:
            return hashlib.md5(self.data[path].encode()).hexdigest() + ".dir"
        if target.is_file():
            return hashlib.md5(target.read_bytes()).hexdigest()
        inside = [p for p in target.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        files = [(p.relative_to(target).as_posix(), p) for p in inside]
        listed = self._listed((n, hashlib.md5(p.read_bytes()).hexdigest()) for n, p in files)
        return f"{hashlib.md5(listed).hexdigest()}.dir"

    @staticmethod
    def _listed(files: Iterable[tuple[str, str]]) -> bytes:
        inside = [{"md5": md5, "relpath": name} for name, md5 in sorted(files)]
        return json.dumps(inside, sort_keys=True).encode()
