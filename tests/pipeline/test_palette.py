"""Classes have colours of their own, which more classes do not change."""

from __future__ import annotations

import torch

from geocore.pipeline.palette import class_colours, coloured


def test_colours_differ_and_do_not_depend_on_how_many_there_are() -> None:
    names = [f"class {n}" for n in range(25)]
    many = class_colours(names)
    assert many.shape == (25, 3) and many.min() >= 0 and many.max() <= 1
    apart = torch.cdist(many, many) + torch.eye(25).double()
    assert float(apart.min()) > 0.18 and float(apart[:10, :10].min()) > 0.4
    assert torch.equal(class_colours(names[:10]), many[:10])
    assert class_colours([]).shape == (0, 3)


def test_labels_are_painted_and_the_rest_is_black() -> None:
    labels = torch.tensor([[0, 2], [255, 3]], dtype=torch.uint8)
    painted = coloured(labels, ["a", "sky", "b"])
    assert torch.equal(painted[0], class_colours(["a", "sky", "b"])[[0, 2]])
    assert (painted[1] == 0).all()


def test_a_known_class_has_its_colour_wherever_it_stands() -> None:
    road, other = class_colours(["a", "road"])[1], class_colours(["road", "sky"])[0]
    assert torch.equal(road, other)
    assert torch.equal(class_colours(["lanes"]), class_colours(["lane_mark"]))
