"""What a kernel is known by: words that say everything, and the same in every process."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from geocore.groups.finite import PlanarGroup
from geocore.kernels.composed import InfiniteNetwork, Kernels, Residual, serial
from geocore.kernels.convolution import Convolution
from geocore.kernels.group_layers import GroupConvolution, GroupPool, LiftingConvolution
from geocore.kernels.layers import Dense, Erf, Flatten, GlobalAveragePool, LeakyRelu, Relu
from geocore.kernels.protocol import PairKernel, described


class Linear:
    """The simplest kernel of all."""

    def __init__(self, words: str = "linear") -> None:
        self.words = words

    def kernel(self, x1: Tensor, x2: Tensor | None = None) -> Kernels:
        k = x1 @ (x1 if x2 is None else x2).T
        return Kernels(k, k)

    def diagonal(self, x: Tensor) -> Kernels:
        k = x.square().sum(dim=1)
        return Kernels(k, k)

    def describe(self) -> str:
        return self.words


def test_anything_with_the_three_is_one() -> None:
    assert isinstance(Linear(), PairKernel)
    assert not isinstance(torch.nn.Linear(1, 1), PairKernel)
    assert described(Linear("mine")) == "mine"


def lifted(n: int = 4, reflections: bool = False, rotation_support: bool = True) -> InfiniteNetwork:
    group = PlanarGroup(n, reflections)
    return serial(
        LiftingConvolution(3, group=group), Relu(),
        GroupConvolution(3, rotation_support=rotation_support), Relu(),
        GlobalAveragePool(), GroupPool(), Dense(),
    )  # fmt: skip


NETWORKS = [
    serial(Dense()),
    serial(Dense(bias_std=0.1)),
    serial(Dense(), Relu(), Dense()),
    serial(Dense(), LeakyRelu(0.1), Dense()),
    serial(Dense(), LeakyRelu(0.2), Dense()),
    serial(Dense(), Erf(), Dense()),
    serial(Dense(), Residual(Relu(), Dense()), Dense()),
    serial(Dense(), Residual(Relu(), Dense(), shortcut=(Dense(),)), Dense()),
    serial(Convolution(3), Flatten(), Dense()),
    serial(Convolution(3, padding="circular"), Flatten(), Dense()),
    serial(Convolution((1, 4), stride=4, padding="valid"), Flatten(), Dense()),
    lifted(),
    lifted(8, rotation_support=False),
    lifted(4, True),
    lifted(4, rotation_support=False),
]


def test_whatever_decides_a_network_is_in_its_words() -> None:
    words = [described(network) for network in NETWORKS]
    assert len(set(words)) == len(words)
    assert "LiftingConvolution(weight_std=1.0, bias_std=0.0, kernel_size=3" in words[-1]
    assert "group=C8" in words[-3] and "group=D4" in words[-2]


def test_another_process_says_the_same() -> None:
    code = (
        f"import runpy; found = runpy.run_path({__file__!r}); "
        "print([found['described'](network) for network in found['NETWORKS']])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([described(network) for network in NETWORKS])


def test_words_with_an_address_are_refused() -> None:
    with pytest.raises(ValueError, match=r"describe\(\) of Linear holds <object object at 0x\w+>"):
        described(Linear(f"of {object()}"))


def test_there_is_one_description() -> None:
    assert all(network.describe() == described(network) for network in NETWORKS)
    assert "padding='same'" in NETWORKS[8].describe()
