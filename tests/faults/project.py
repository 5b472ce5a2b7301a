"""A project in small without DVC or git: the real code, tiny parameters, every stage's inputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from geocore.config.load import leaves, read_yaml
from geocore.config.presets import read_presets
from geocore.runs.digest import digest_path
from geocore.runs.ledger import Ledger
from geocore.runs.store import Store

__all__ = ["Project", "make_project"]

ROOT = Path(__file__).parents[2]
_TINY = {
    "data.limit": 100,
    "runtime.threads": 1,
    "runtime.workers": 1,
    "runtime.checkpoint_every": 1,
    "runtime.progress": False,
    "resample.nside": 4,
    "model.embed": 8,
    "model.depths": [1],
    "model.heads": [2],
    "train.epochs": 4,
    "train.batch_size": 16,
    "train.patience": 100,
    "alignment.epochs": [0, 1, 2],
    "alignment.samples": 4,
    "ensemble.members": 3,
    "ensemble.chunk": 1,
    "ntk.subset": 40,
    "ntk.block": 10,
    "synthesize.channels": [2],
    "synthesize.epochs": 2,
    "synthesize.quantised_epochs": 2,
    "synthesize.variants": [],
    "synthesize.ways": [],
    "synthesize.images": 8,
    "synthesize.vectors": 8,
    "gate.firmware_mismatches_max": None,
    "evaluate.samples": 4,
    "evaluate.rotations": 1,
}


class Project:
    """The folder of a project, and what lies in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def store(self) -> Store:
        return Store(self.root / ".geocore/store")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.root / ".geocore/ledger", self.root)

    def change(self, **values: Any) -> None:
        """Change leaves of params.yaml, ``train__lr=0.1``."""
        path = self.root / "params.yaml"
        params = read_yaml(path)
        for name, value in values.items():
            section, key = name.split("__")
            assert key in params[section], name
            params[section][key] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def copy(self, target: Path, *, store: bool = False) -> Project:
        """The same files, with the caches only if ``store``."""
        ignored = None if store else shutil.ignore_patterns(".geocore")
        shutil.copytree(self.root, target, symlinks=True, ignore=ignored)
        return Project(target)

    def pieces(self) -> set[str]:
        """Keys of the whole pieces in the store, but for checkpoints, which come and go."""
        found = (piece for piece in self.store.pieces() if piece.manifest["verb"] != "checkpoint")
        return {piece.key for piece in found if self.store.find(piece.key) is not None}

    def checkpoint(self) -> int | None:
        """The step of the newest whole checkpoint."""
        found = (piece for piece in self.store.pieces() if piece.manifest["verb"] == "checkpoint")
        steps = [p.values["step"] for p in found if self.store.find(p.key) is not None]
        return max(steps, default=None)

    def step(self) -> int | None:
        """As ``checkpoint``, but for one that is not verified, while it may be replaced."""
        found = list(self.store.pieces())
        steps = [p.values["step"] for p in found if p.manifest["verb"] == "checkpoint"]
        return max(steps, default=None)

    def parts(self) -> dict[str, int]:
        """The finished parts of tables under way: name -> the file's inode."""
        found = {}
        for journal in (self.root / ".geocore/work").glob("*/*/journal/*.json"):
            part = journal.parents[1] / "parts" / journal.stem
            if part.is_file() and json.loads(journal.read_bytes()):
                found[journal.stem] = part.stat().st_ino
        return found

    def outputs(self, paths: Mapping[str, str]) -> dict[str, str | None]:
        """Digests of outputs by name; None for one that is not there."""
        places = {name: self.root / path for name, path in paths.items()}
        return {n: digest_path(p) if p.exists() else None for n, p in places.items()}

    def remove(self, paths: Mapping[str, str]) -> None:
        """As DVC does before a run."""
        for path in paths.values():
            place = self.root / path
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)


def make_project(root: Path) -> Project:
    """A project with tiny parameters and no data yet."""
    root.mkdir(parents=True)
    for name in ("dvc.yaml", "presets.yaml", "params.yaml", "pyproject.toml"):
        shutil.copyfile(ROOT / name, root / name)
    (root / "data/own").mkdir(parents=True)
    params = read_yaml(root / "params.yaml")
    for leaf, value in {**read_presets(root)["smoke"], **_TINY}.items():
        section, key = leaf.split(".")
        assert leaf in leaves(params), leaf
        params[section][key] = value
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return Project(root)
