"""Keys of the open flow stand for the Verilog that it is written with."""

from __future__ import annotations

from pathlib import Path

from geocore.pipeline.synthesis_open import RTL_DIGEST
from geocore.runs.digest import digest_tree


def test_keys_stand_for_the_modules_that_are_joined() -> None:
    """Where this fails, write the digest that was found into ``RTL_DIGEST``."""
    assert digest_tree(Path(__file__).parents[2] / "geocore/edge/rtl") == RTL_DIGEST
