"""The code of a training: the network that was chosen, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from geocore.models.catalogue import MODELS, network_module
from geocore.pipeline.code import deciding_code

ROOT = Path(__file__).parents[2]
TRAINING = "geocore.pipeline.training"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package, whose files may be changed."""
    shutil.copytree(
        ROOT / "geocore", tmp_path / "geocore", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def change(root: Path, module: str) -> None:
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    path.write_text(path.read_text(encoding="utf-8") + "\nCHANGED = 1\n", encoding="utf-8")


def key(root: Path, name: str) -> str:
    return deciding_code([TRAINING, network_module(name)], root)


def test_a_change_in_another_network_trains_nothing_again(house: Path) -> None:
    before = {name: key(house, name) for name in MODELS}
    assert len(set(before.values())) == len(MODELS)
    for changed in ("healpix_encoder", "swin"):
        change(house, network_module(changed))
        after = {name: key(house, name) for name in MODELS}
        assert {name for name in MODELS if after[name] != before[name]} == {changed}
        before = after


def test_a_network_more_trains_nothing_again(house: Path) -> None:
    before = key(house, "healpix_encoder")
    path = house / "geocore/models/catalogue.py"
    text = path.read_text(encoding="utf-8")
    entry = '    "swin": "geocore.models.swin:Swin",\n'
    assert entry in text
    more = entry + '    "other": "geocore.models.other:Other",\n'
    path.write_text(text.replace(entry, more), encoding="utf-8")
    (house / "geocore/models/other.py").write_text("class Other: ...\n", encoding="utf-8")
    assert key(house, "healpix_encoder") == before


def test_what_all_networks_go_through_counts(house: Path) -> None:
    for shared in ("geocore.models.registry", "geocore.train.loop", "geocore.train.depth"):
        before = key(house, "healpix_encoder")
        change(house, shared)
        assert key(house, "healpix_encoder") != before


def test_without_a_choice_every_network_counts(house: Path) -> None:
    before = deciding_code(["geocore.models.registry"], house)
    change(house, network_module("swin"))
    assert deciding_code(["geocore.models.registry"], house) != before
