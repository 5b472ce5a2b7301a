"""The groups obey their axioms, and their matrices are a representation."""

from __future__ import annotations

import pytest
import torch

from geocore.groups.finite import PlanarGroup

GROUPS = [PlanarGroup(n, reflections) for n in (1, 2, 3, 4, 8) for reflections in (False, True)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_matrices_multiply_as_elements_do(group: PlanarGroup) -> None:
    for first in group:
        assert group.product(group.inverse(first), first) == 0
        assert sorted(group.shifted(first).tolist()) == list(group)
        for second in group:
            together = group.matrix(group.product(first, second))
            apart = group.matrix(first) @ group.matrix(second)
            torch.testing.assert_close(together, apart, atol=1e-14, rtol=0)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="n is 0; expected at least 1"):
        PlanarGroup(0)
    with pytest.raises(ValueError, match="element is 4 of C4; expected 0 to 3"):
        PlanarGroup(4).matrix(4)
