"""The network of an objective, and what is written about it beside its weights."""

from __future__ import annotations

from torch import nn

from geocore.config.model import ModelParams
from geocore.data.tabletype import TableInfo, TableType
from geocore.models.registry import ModelInfo, build
from geocore.train.feed import normaliser
from geocore.train.objective import Objective

__all__ = ["about", "network"]


def network(params: ModelParams, kind: TableType, objective: Objective, seed: int) -> nn.Module:
    """An untrained network with the objective's outputs, its weights drawn from ``seed``."""
    return build(params, kind, objective.outputs, seed, dense=objective.dense)


def about(
    params: ModelParams, table: TableInfo, objective: Objective, model: nn.Module
) -> ModelInfo:
    """What ``model.json`` says of a network that learned ``objective`` from such a table."""
    return ModelInfo(
        params=params,
        type=table.type,
        classes=table.classes,
        parameters=sum(p.numel() for p in model.parameters()),
        normaliser=normaliser(table.type),
        task=objective.task,
        outputs=objective.outputs,
        objective=objective.record(),
    )
