"""Which module holds the network of which name, and nothing else.

The table stands alone, so that what trains one network need not count the code of the others:
the code of a training is ``network_module(name)`` and what that imports, not this file.
"""

from __future__ import annotations

__all__ = ["MODELS", "network_module"]

# Strings, so that a network's module is imported when it is built and not before.
MODELS = {
    "healpix_encoder": "geocore.models.healpix_encoder:HealpixEncoder",
    "heal_swin": "geocore.models.heal_swin:HealSwin",
    "swin": "geocore.models.swin:Swin",
    "s2cnn": "geocore.models.s2cnn.model:S2CNN",
    "cnn": "geocore.models.cnn:Cnn",
}


def network_module(name: str) -> str:
    """The module of the network that ``model.name`` calls so."""
    return MODELS[name].partition(":")[0]
