"""A device that is not there is a user's mistake, told in one line."""

from __future__ import annotations

import pytest
import torch

from geocore.errors import UserError
from geocore.train.device import resolve


def test_cpu() -> None:
    assert resolve("cpu") == torch.device("cpu")


def test_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError) as error:
        resolve("cuda")
    assert str(error.value) == (
        "runtime.device is cuda; this machine has no CUDA device "
        f"(torch {torch.__version__}); expected cpu"
    )


def test_other_names() -> None:
    with pytest.raises(ValueError, match="name is 'tpu'; expected 'cpu' or 'cuda'"):
        resolve("tpu")
