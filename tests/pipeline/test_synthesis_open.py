"""Keys of the open flow stand for the Verilog that it is written with."""

from __future__ import annotations

from pathlib import Path

from geocore.pipeline.synthesis_open import BESIDE, RTL_DIGEST
from geocore.runs.digest import digest_tree

FOLDER = Path(__file__).parents[2] / "geocore/edge/rtl"
WRITTEN = "plain_product.v"  # in a design, as all that is named geocore_
SIMULATED = {"harness.cpp", "dataflow.cpp"}  # never beside a netlist


def test_keys_stand_for_the_modules_that_are_joined() -> None:
    """Where this fails, write the digest that was found into ``RTL_DIGEST``."""
    assert digest_tree(FOLDER) == RTL_DIGEST


def test_keys_of_netlists_stand_for_all_that_decides_them() -> None:
    """Every file is part of a module's sources, of simulations alone, or named in ``BESIDE``."""
    files = {file.name for file in FOLDER.iterdir()}
    sources = {name for name in files if name.startswith("geocore_")} | {WRITTEN}
    assert files - sources - SIMULATED == set(BESIDE)
