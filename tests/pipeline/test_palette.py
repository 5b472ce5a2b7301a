"""Classes have colours of their own, which more classes do not change."""

from __future__ import annotations

import torch

from geocore.pipeline.palette import class_colours, coloured


def test_colours_differ_and_do_not_depend_on_how_many_there_are() -> None:
    many = class_colours(25)
    assert many.shape == (25, 3) and many.min() >= 0 and many.max() <= 1
    apart = torch.cdist(many, many) + torch.eye(25).double()
    assert float(apart.min()) > 0.18 and float(apart[:10, :10].min()) > 0.4
    assert torch.equal(class_colours(10), many[:10])
    assert class_colours(0).shape == (0, 3)


def test_labels_are_painted_and_the_rest_is_black() -> None:
    labels = torch.tensor([[0, 2], [255, 3]], dtype=torch.uint8)
    painted = coloured(labels, 3)
    assert torch.equal(painted[0], class_colours(3)[[0, 2]])
    assert (painted[1] == 0).all()
