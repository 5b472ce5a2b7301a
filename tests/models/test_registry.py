"""Built by name and seed; read back whole or refused in a line."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from geocore.config.model import ModelParams
from geocore.data.tabletype import TableType
from geocore.errors import UserError
from geocore.models.catalogue import MODELS
from geocore.models.registry import ModelInfo, build, load
from geocore.runs.atomic import write_json
from tests.models.encoders import kind, maps, model_params


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    model = build(model_params(), kind(), 5, seed=2)
    weights, about = tmp_path / "weights.safetensors", tmp_path / "model.json"
    save_file(model.state_dict(), weights)
    classes = tuple("abcde")
    info = ModelInfo(model_params(), kind(), classes, parameters=7, normaliser=255.0)
    write_json(about, info.to_json())
    return weights, about


def test_build_is_deterministic_and_leaves_torchs_state() -> None:
    before = torch.get_rng_state()
    first, second = (build(model_params(), kind(), 5, seed=2).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(
        first["head.weight"], build(model_params(), kind(), 5, seed=3).state_dict()["head.weight"]
    )


def test_every_name_of_the_parameters_is_registered() -> None:
    names = ModelParams.model_json_schema()["properties"]["name"]["enum"]
    assert sorted(names) == sorted(MODELS)
    assert all(issubclass(ModelParams.of({"name": name}), ModelParams) for name in names)
    assert ModelParams not in {ModelParams.of({"name": name}) for name in names}


def test_an_info_names_its_task() -> None:
    plain = ModelInfo(model_params(), kind(), tuple("abc"), parameters=7, normaliser=1.0)
    assert (plain.task, plain.outputs, plain.dense) == ("classification", 3, False)
    depth = ModelInfo(
        model_params(), kind(), (), 7, 1.0, task="depth", outputs=2, objective={"scale": 2.5}
    )
    assert (depth.outputs, depth.dense) == (2, True)
    assert ModelInfo.from_json(depth.to_json(), "here") == depth
    with pytest.raises(UserError, match=r"^here: holds .*; expected what train wrote$"):
        ModelInfo.from_json(depth.to_json() | {"task": "regression"}, "here")


def test_the_encoder_gives_no_answer_a_pixel() -> None:
    with pytest.raises(UserError) as error:
        build(model_params(), kind(), 5, 0, dense=True)
    assert str(error.value) == (
        "model.name is healpix_encoder, which gives one answer a map; expected heal_swin or swin "
        "for one a pixel"
    )


def test_a_trained_network_comes_back(saved: tuple[Path, Path]) -> None:
    model, info = load(*saved, wanted=dataclasses.replace(kind(), label_kind=None))
    assert not model.training
    assert info.classes == ("a", "b", "c", "d", "e")
    assert (info.type, info.params, info.normaliser) == (kind(), model_params(), 255.0)
    x = maps(kind()).float()
    assert torch.equal(model(x), build(model_params(), kind(), 5, seed=2)(x))


def test_another_geometry_is_refused(saved: tuple[Path, Path]) -> None:
    with pytest.raises(UserError) as error:
        load(*saved, wanted=TableType(grid="healpix", nside=16, ordering="nested"))
    assert str(error.value) == (f"{saved[1]}: trained on other maps: nside is 16; expected 8")


def test_a_truncated_file_is_refused(saved: tuple[Path, Path]) -> None:
    weights, _ = saved
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"weights.safetensors: no whole safetensors file \(\d+ b"):
        load(*saved)
    weights.unlink()
    with pytest.raises(UserError, match=r"missing; expected trained weights: run train$"):
        load(*saved)


def change(weights: Path, **tensors: Tensor | None) -> None:
    parts = build(model_params(), kind(), 5, seed=2).state_dict() | {
        name.replace("__", "."): value for name, value in tensors.items()
    }
    save_file({name: value for name, value in parts.items() if value is not None}, weights)


def test_other_tensors_are_refused(saved: tuple[Path, Path]) -> None:
    weights, _ = saved
    change(weights, head__bias=None)
    with pytest.raises(UserError, match=r": tensor head.bias is missing; expected \d+$"):
        load(*saved)
    change(weights, tail=torch.zeros(1), toe=torch.zeros(1))
    with pytest.raises(UserError, match=": tensors tail and 1 more are unknown to this network"):
        load(*saved)
    change(weights, head__bias=torch.zeros(6))
    with pytest.raises(UserError, match=r"head.bias is float32 \[6\]; expected float32 \[5\]$"):
        load(*saved)


def test_another_description_is_refused(saved: tuple[Path, Path]) -> None:
    _, about = saved
    write_json(about, {"name": "other"})
    with pytest.raises(UserError, match=r'holds {"name": "other"}; expected what train wrote$'):
        load(*saved)
    about.write_text("{")
    with pytest.raises(UserError, match=r"model.json: not JSON; expected what train wrote$"):
        load(*saved)


@pytest.mark.parametrize("found", [10**400, math.inf, math.nan, 0, -255.0, None, [255.0]])
def test_what_divides_images_is_a_number(saved: tuple[Path, Path], found: object) -> None:
    _, about = saved
    about.write_text(json.dumps({**json.loads(about.read_text()), "normaliser": found}))
    with pytest.raises(UserError, match=r"; expected what train wrote$"):
        load(*saved)


def test_a_description_that_is_nested_deeply_is_refused(saved: tuple[Path, Path]) -> None:
    _, about = saved
    about.write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"model.json: not JSON; expected what train wrote$"):
        load(*saved)
