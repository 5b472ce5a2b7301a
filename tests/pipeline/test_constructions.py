"""Every construction of the survey keeps its law; a broken one would be seen."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from geocore.config.laws import LawsParams
from geocore.groups.steerable_fields import Symmetry
from geocore.models.detection import Detector, Predictions
from geocore.pipeline.constructions import Construction, constructions, worst
from geocore.pipeline.law_measuring import errors
from geocore.pipeline.planar_constructions import other_elements

PARAMS = LawsParams(image_size=17, bandlimit=5, elements=2, seed=1, error_max=1e-11)
ROWS = constructions()
# Filters of independent weights, turned by interpolation: what steerable kernels are there for.
ROUGH = "group convolution C8"


def test_names_are_apart() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert {row.group for row in ROWS} >= {"C4", "C8", "D4", "SO2", "O2", "SO(3)"}
    assert all(row.law and row.space for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_laws_hold(row: Construction) -> None:
    found = errors(row, PARAMS)
    assert (found.double is None) == (found.single is None)
    assert found.double is not None or found.sampled is not None
    if found.double is not None and found.single is not None:
        assert found.double < 1e-10
        assert 1e-9 < found.single < 1e-3  # float32 it is
    assert (found.sampled is None) == (found.sampled_single is None)
    if found.sampled is not None and found.sampled_single is not None:
        assert 1e-6 < found.sampled < (1.0 if row.name == ROUGH else 0.05)
        assert found.sampled_single == pytest.approx(found.sampled, rel=0.05, abs=1e-5)
        assert found.sampled_single != found.sampled  # float32 it is


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_they_have_gradients(row: Construction) -> None:
    case = row.build(PARAMS, torch.float32)
    out = case.module(case.sample(2))
    assert torch.equal(case.sample(2), case.sample(2))
    if not out.requires_grad:
        return  # nothing is learned
    (out.abs() if out.is_complex() else out).sum().backward()
    for name, parameter in case.module.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name


@pytest.mark.parametrize(
    "name", ["steerable C8, regular", "SO(3) convolution", "class and box, C4"]
)
def test_a_broken_law_is_seen(name: str) -> None:
    case = next(row for row in ROWS if row.name == name).build(PARAMS, torch.float64)
    buffers = dict(case.module.named_buffers())
    key, buffer = max(buffers.items(), key=lambda item: item[1].numel())
    with torch.no_grad():
        noise = torch.Generator().manual_seed(0)
        buffer.add_(0.1 * torch.randn(buffer.shape, generator=noise, dtype=buffer.dtype))
    assert case.exact is not None
    assert case.exact() > 1e-3, key


@pytest.mark.parametrize(
    "name",
    [
        "group convolution C8",
        "steerable SO2, circle",
        "steerable D4, invariant head",
        "SO(3) convolution",
        "relu on SO(3), oversampled twice",
        "class and box, C4",
        "class and mask, O2",
    ],
)
def test_nan_is_not_lost(name: str) -> None:
    """One answer of NaN in the middle: Python's ``max`` keeps what lies before it."""
    case = next(row for row in ROWS if row.name == name).build(PARAMS, torch.float64)
    detector, calls, poisoned = getattr(case.module, "detector", None), [0], [range(0)]

    def poison(module: torch.nn.Module, args: object, out: Tensor) -> Tensor:
        calls[0] += 1
        return out * torch.nan if calls[0] in poisoned[0] else out

    (case.module if detector is None else detector.head).register_forward_hook(poison)
    for measure in (case.exact, case.sampled):
        # The third answer is the second element's. A detector that finds nothing in any image
        # keeps no law; one that finds nothing in some is off by other classes.
        finds = detector is not None and measure is case.exact
        calls[0], poisoned[0] = 0, range(1, 1000) if finds else range(3, 4)
        assert measure is None or math.isnan(measure()), name


def test_the_worst_of_errors() -> None:
    assert worst([1e-16, 3e-16, 2e-16]) == 3e-16
    assert math.isnan(worst([1e-16, math.nan, 2e-16]))
    assert worst(iter([0.5, math.inf])) == math.inf


def swapped_classes(detector: Detector) -> None:
    """Of a turned image the first two classes are exchanged: no box moves."""
    plain, calls = detector.forward, [0]

    def forward(images: Tensor) -> Predictions:
        found, calls[0] = plain(images), calls[0] + 1
        classes = found.classes.clone()
        classes[:, :2] = classes[:, :2].flip(1)
        return found if calls[0] == 1 else found._replace(classes=classes)

    detector.forward = forward  # type: ignore[method-assign]


def surer(detector: Detector) -> None:
    """Of a turned image all is likelier by little: the order stays, and no box moves."""
    plain, calls = detector.forward, [0]

    def forward(images: Tensor) -> Predictions:
        found, calls[0] = plain(images), calls[0] + 1
        logits = found.objectness + (0 if calls[0] == 1 else 0.01)
        return found._replace(objectness=logits)

    detector.forward = forward  # type: ignore[method-assign]


@pytest.mark.parametrize("breaking", [swapped_classes, surer])
@pytest.mark.parametrize("name", ["class and box, C4", "class and mask, O2"])
def test_classes_and_scores_are_part_of_the_law(
    name: str, breaking: Callable[[Detector], None]
) -> None:
    case = next(row for row in ROWS if row.name == name).build(PARAMS, torch.float64)
    assert case.exact is not None and case.exact() < 1e-11
    breaking(case.module.detector)  # type: ignore[arg-type]
    assert case.exact() > 1e-4


def test_other_elements_permute_no_pixels() -> None:
    assert other_elements(Symmetry.named("D4"), 5) == []
    c8 = [angle for angle, _ in other_elements(Symmetry.named("C8"), 5)]
    assert c8 == pytest.approx([math.pi / 4 * k for k in (1, 3, 5, 7)])
    o2 = other_elements(Symmetry.named("O2"), 3)
    assert len(o2) == 6 and len(set(o2)) == 6
    assert all(abs(math.sin(4 * angle)) > 1e-3 or angle == 0 for angle, _ in o2)
