"""Parts and what goes into them."""

from __future__ import annotations

import pytest

from geocore.edge.device import PARTS, named_part, part_of, require_fits, utilisation
from geocore.edge.synthesis import Resources
from geocore.errors import UserError


def test_shares_are_of_the_whole() -> None:
    half = Resources(lut=137_040, lut_memory=0, ff=137_040, dsp=252, bram=456)
    assert utilisation(half, "ZCU102") == {
        "lut": 0.5, "lut_memory": 0.0, "ff": 0.25, "dsp": 0.1, "bram": 0.5,
    }  # fmt: skip
    require_fits(half, "zcu102")
    require_fits(half, "zcu102", share=0.5)


def test_boards_are_their_parts_and_memory_is_a_part_of_the_luts() -> None:
    assert part_of("zcu102") == part_of("XCZU9EG") and part_of("u250") == part_of("xcvu13p")
    for whole in PARTS.values():
        # A slice has eight LUTs and sixteen flip-flops; at most some slices serve as memory.
        assert whole.ff == 2 * whole.lut and whole.lut % 8 == 0
        assert 0 < whole.lut_memory < whole.lut


@pytest.mark.parametrize(
    ("spelling", "part"),
    [
        ("xczu9eg-ffvb1156-2-e", "xczu9eg"), ("xcu250-figd2104-2L-e", "xcu250"),
        ("XCZU9EG", "xczu9eg"), ("xc7z020clg400-1", ""),
    ],
)  # fmt: skip
def test_a_maker_s_spelling_names_a_part(spelling: str, part: str) -> None:
    assert named_part(spelling) == part


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            Resources(100_000, 0, 10, 0, 0),
            "the design takes 100,000 LUTs; expected at most 70,560 on xczu3eg: fewer bits",
        ),
        (
            Resources(70_000, 0, 10, 0, 432.5),
            "the design takes 432.5 36 Kbit blocks; expected at most 216 on xczu3eg: shorter q",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_that_says_what_to_do(found: Resources, line: str) -> None:
    with pytest.raises(UserError, match=line):
        require_fits(found, "xczu3eg")


def test_mistakes() -> None:
    with pytest.raises(UserError, match="part is 'zcu999'; expected one of xczu3eg, "):
        utilisation(Resources(1, 0, 1, 0, 0), "zcu999")
    with pytest.raises(ValueError, match="share is 0; expected more than 0"):
        require_fits(Resources(1, 0, 1, 0, 0), "u250", share=0)
    with pytest.raises(UserError, match="expected at most 35,280 on xczu3eg"):
        require_fits(Resources(40_000, 0, 1, 0, 0), "xczu3eg", share=0.5)
