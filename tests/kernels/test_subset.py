"""Every beginning of the order holds the classes in their shares."""

from __future__ import annotations

import numpy as np
import pytest

from geocore.kernels.subset import stratified_order


def test_equal_classes_stay_equal() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 12))
    order = stratified_order(labels, 3)
    assert sorted(order.tolist()) == list(range(60))
    for n in range(1, 61):
        counts = np.bincount(labels[order[:n]], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_unequal_classes_have_their_shares() -> None:
    sizes = np.array([100, 40, 7, 1])
    labels = np.repeat(np.arange(4), sizes)
    order = stratified_order(labels, 0)
    for n in range(1, len(labels) + 1):
        counts = np.bincount(labels[order[:n]], minlength=4)
        share = sizes * n / len(labels)
        assert (np.abs(counts - share) <= 0.5 + sizes / len(labels) * 2).all(), n


def test_a_seed_decides_the_samples() -> None:
    labels = np.arange(90) % 3
    first, second = stratified_order(labels, 1)[:30], stratified_order(labels, 2)[:30]
    assert np.array_equal(first, stratified_order(labels, 1)[:30])
    assert 0 < len(set(first.tolist()) & set(second.tolist())) < 25
    assert stratified_order(labels, 1)[:6].tolist() == [48, 58, 47, 63, 88, 56]


def test_wrong_labels() -> None:
    with pytest.raises(ValueError, match=r"labels is float64 of shape \(3,\); expected integers"):
        stratified_order(np.zeros(3), 0)  # type: ignore[arg-type]
