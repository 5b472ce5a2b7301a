"""Presets expand into values that the sections accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.config.load import leaves, read_yaml, validate
from geocore.config.presets import checked_override, overrides, read_presets
from geocore.errors import UserError
from geocore.pipeline.dvcfile import read_dvc
from geocore.pipeline.run import stage_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["smoke", "default", "paper"])
def test_a_preset_is_valid_and_changes_known_keys(name: str) -> None:
    params = read_yaml(ROOT / "params.yaml")
    known = leaves(params)
    for leaf, value in read_presets(ROOT)[name].items():
        assert leaf in known
        section, key = leaf.split(".")
        params[section][key] = value
    stages = read_dvc(ROOT)
    for kind in {kind for stage in stages for kind in stage_of(stage, stages).sections}:
        validate(params[kind.title], kind, name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.lr", "-S train.lr: holds no '='; expected key=value, as in train.lr=0.001"),
        ("train.rl=1", "-S train.rl=1: train.rl is an unknown key; did you mean train.lr?"),
        ("x=1", "-S x=1: x is an unknown key; expected a key of params.yaml"),
    ],
)
def test_a_change_that_is_none_is_told(change: str, message: str) -> None:
    with pytest.raises(UserError) as told:
        checked_override(ROOT, change)
    assert str(told.value) == message


def test_a_change_of_a_key_is_taken_as_it_is() -> None:
    assert checked_override(ROOT, "train.lr=0.001") == "train.lr=0.001"


def test_overrides_are_arguments_of_dvc(tmp_path: Path) -> None:
    (tmp_path / "presets.yaml").write_text(
        "a: {train: {lr: 1e-3, name: x}, data: {limit: null, faces: [0, 1]}}\nb: {}\n"
    )
    assert overrides(tmp_path, "a") == [
        "-S", "train.lr=0.001", "-S", "train.name=x",
        "-S", "data.limit=null", "-S", "data.faces=[0, 1]",
    ]  # fmt: skip
    assert overrides(tmp_path, "b") == []
    with pytest.raises(UserError, match="preset 'c' is unknown; expected one of a, b"):
        overrides(tmp_path, "c")


STUDIES = sorted(path.parent for path in (ROOT / "studies").glob("*/presets.yaml"))


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_studys_presets_are_valid(folder: Path) -> None:
    study = folder.relative_to(ROOT).as_posix()
    for name, parts in read_yaml(folder / "presets.yaml").items():
        assert len(overrides(ROOT, name, study)) == 2 * len(
            leaves({f: leaves(p) for f, p in parts.items()})
        )
        for part, sections in parts.items():
            params = read_yaml(folder / part / "params.yaml")
            for section, values in sections.items():
                params[section].update(values)
            stages = read_dvc(folder / part)
            for kind in {kind for stage in stages for kind in stage_of(stage, stages).sections}:
                validate(params[kind.title], kind, f"{name}: {part}")


def write_study(root: Path) -> None:
    for part in ("s", "s/wide"):
        (root / part).mkdir()
        (root / part / "params.yaml").write_text("train: {lr: 1.0}\n")
    (root / "s/presets.yaml").write_text("a: {.: {train: {lr: 2}}, wide: {train: {lr: 3}}}\n")


def test_a_studys_keys_have_their_file_in_front(tmp_path: Path) -> None:
    write_study(tmp_path)
    assert overrides(tmp_path, "a", "s") == [
        "-S", "s/params.yaml:train.lr=2", "-S", "s/wide/params.yaml:train.lr=3"
    ]  # fmt: skip
    own = checked_override(tmp_path, "train.lr=5", "s")
    assert own == "s/params.yaml:train.lr=5"
    below = checked_override(tmp_path, "wide:train.lr=5", "s")
    assert below == "s/wide/params.yaml:train.lr=5"


def test_what_is_no_mapping_is_told_in_a_line(tmp_path: Path) -> None:
    write_study(tmp_path)
    for text, message in (
        ("a: null", "a is null; expected a mapping of sections"),
        ("a: {wide: [true]}", "a.wide is [true]; expected a mapping of sections"),
    ):
        (tmp_path / "s/presets.yaml").write_text(text)
        with pytest.raises(UserError) as told:
            overrides(tmp_path, "a", "s")
        assert str(told.value) == f"s/presets.yaml: {message}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "deep:train.lr=1",
            "-S deep:train.lr=1: no s/deep/params.yaml; expected the folder of a study",
        ),
        ("wide:lr=1", "-S wide:lr=1: lr is an unknown key; expected a key of s/wide/params.yaml"),
    ],
)
def test_a_change_below_a_study_is_checked(tmp_path: Path, change: str, message: str) -> None:
    write_study(tmp_path)
    with pytest.raises(UserError) as told:
        checked_override(tmp_path, change, "s")
    assert str(told.value) == message
