"""The table names modules that there are, and the networks in them."""

from __future__ import annotations

import importlib

import pytest
from torch import nn

from geocore.models.catalogue import MODELS, network_module


@pytest.mark.parametrize("name", MODELS)
def test_the_network_is_there(name: str) -> None:
    module, _, attribute = MODELS[name].partition(":")
    assert network_module(name) == module
    assert issubclass(getattr(importlib.import_module(module), attribute), nn.Module)
