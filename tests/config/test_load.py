"""``params.yaml`` is read as DVC reads it, and each mistake in it is one line of plain words."""

from __future__ import annotations

import math
import time
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from geocore.config.data import DataParams
from geocore.config.evaluate import EvaluateParams
from geocore.config.gate import GateParams
from geocore.config.load import leaves, read_sections, read_yaml, tracked_leaves, validate
from geocore.config.model import ModelParams
from geocore.config.project import ProjectParams
from geocore.config.resample import ResampleParams
from geocore.config.runtime import RuntimeParams
from geocore.config.section import Section
from geocore.config.train import TrainParams
from geocore.errors import UserError

ROOT = Path(__file__).parents[2]
KINDS: tuple[type[Section], ...] = (
    DataParams, ProjectParams, ResampleParams, ModelParams, TrainParams, EvaluateParams,
    GateParams, RuntimeParams,
)  # fmt: skip
PARAMS = read_yaml(ROOT / "params.yaml")
FACES = "null or a list of growing base faces from 0 to 11, at least one"


def refused(title: str, changes: dict[str, Any]) -> tuple[str, ...]:
    """The lines about a section of ``params.yaml`` with some of its keys changed."""
    kind = {kind.title: kind for kind in KINDS}[title]
    raw = {key: value for key, value in {**PARAMS[title], **changes}.items() if value is not ...}
    with pytest.raises(UserError) as caught:
        validate(raw, kind, "params.yaml")
    return caught.value.lines


def test_the_file_is_valid_and_comes_back_frozen() -> None:
    sections = read_sections(ROOT / "params.yaml", KINDS, PARAMS)
    for kind in KINDS:
        section = sections[kind.title]
        assert isinstance(section, kind)
        assert section.model_dump(mode="json") == PARAMS[kind.title]
        with pytest.raises(ValueError, match="frozen"):
            setattr(section, next(iter(PARAMS[kind.title])), None)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("data.sead", 0, "is an unknown key; did you mean data.seed?"),
        (
            "runtime.colour", 0,
            "is an unknown key; expected one of device, threads, workers, runner, "
            "checkpoint_every, progress",
        ),
        ("data.seed", ..., "is missing; expected an integer at least 0 and below 2147483648"),
        ("data.seed", -1, "is -1; expected an integer at least 0 and below 2147483648"),
        ("data.seed", 2**31, "is 2147483648; expected an integer at least 0 and below 2147483648"),
        ("data.seed", 1.0, "is 1.0; expected an integer at least 0 and below 2147483648"),
        ("data.seed", True, "is true; expected an integer at least 0 and below 2147483648"),
        ("data.seed", "0", 'is "0"; expected an integer at least 0 and below 2147483648'),
        ("data.limit", 9, "is 9; expected an integer at least 10 or null"),
        ("data.path", 3, "is 3; expected a string or null"),
        (
            "data.image_size", 9000,
            "is 9000; expected an integer at least 2 and at most 8192 or null",
        ),
        (
            "data.source", "imagenet",
            'is "imagenet"; expected one of digits, mnist, fashion_mnist, image_folder, '
            "parquet_images, svhn, svhn_extra, street_digits, scenes, woodscape, camvid, "
            "cityscapes, canvas",
        ),
        ("data.val_fraction", 0.5, "is 0.5; expected a number above 0 and below 0.5"),
        ("project.rotation", None, "is null; expected one of none, z, so3"),
        (
            "project.colatitude", math.nan,
            "is nan; expected a finite number at least 0 and at most 180",
        ),
        ("resample.nside", 12, "is 12; expected a power of two from 1 to 8192 or null"),
        ("resample.nside", 16384, "is 16384; expected a power of two from 1 to 8192 or null"),
        ("resample.nside", "16", 'is "16"; expected a power of two from 1 to 8192 or null'),
        ("resample.faces", [], f"is []; expected {FACES}"),
        ("resample.faces", [1, 0], f"is [1, 0]; expected {FACES}"),
        ("resample.faces", 3, f"is 3; expected {FACES}"),
        ("resample.ordering", "nest", 'is "nest"; expected one of nested, ring or null'),
        ("train.lr", math.inf, "is inf; expected a finite number above 0 and at most 10"),
        ("train.lr", "1e-3", 'is "1e-3"; expected a number above 0 and at most 10'),
        (
            "train.batch_size", 2_000_000,
            "is 2000000; expected an integer at least 1 and at most 1000000",
        ),
        ("gate.accuracy_min", 2, "is 2; expected a number at least 0 and at most 1 or null"),
        ("runtime.device", "gpu", 'is "gpu"; expected one of cpu, cuda'),
        ("runtime.progress", "yes", 'is "yes"; expected true or false'),
    ],
)  # fmt: skip
def test_every_mistake_names_key_value_and_what_is_allowed(
    key: str, value: object, line: str
) -> None:
    title, name = key.split(".")
    assert refused(title, {name: value}) == (f"params.yaml: {key} {line}",)


def test_an_entry_of_a_list_is_named_by_its_place() -> None:
    assert refused("resample", {"faces": [0, 0.5, 12]}) == (
        "params.yaml: resample.faces[1] is 0.5; expected an integer at least 0 and at most 11",
        "params.yaml: resample.faces[2] is 12; expected an integer at least 0 and at most 11",
    )
    (line,) = refused("model", {"depths": [1, 0]})
    assert line.startswith("params.yaml: model.depths[1] is 0; expected an integer at least 1")


def test_a_rule_over_several_keys() -> None:
    assert refused("project", {"projection": "gnomonic", "angle_of_view": 180.0}) == (
        "params.yaml: project.angle_of_view is 180.0; "
        "expected less than 180 degrees for a gnomonic projection",
    )


def test_each_mistake_has_a_line_of_its_own() -> None:
    assert refused("train", {"lr": 0, "epochs": 0, "sed": 1}) == (
        "params.yaml: train.epochs is 0; expected an integer at least 1 and at most 100000",
        "params.yaml: train.lr is 0; expected a number above 0 and at most 10",
        "params.yaml: train.sed is an unknown key; did you mean train.seed?",
    )


def test_long_values_and_keys_are_cut_and_nothing_in_them_is_unseen() -> None:
    (line,) = refused("data", {"path": ["x" * 500]})
    assert line == f'params.yaml: data.path is ["{"x" * 78}...; expected a string or null'
    (line,) = refused("data", {"Q" * 500: 1})
    assert line.startswith(
        f"params.yaml: data.{'Q' * 40}... is an unknown key; expected one of sou"
    )
    assert line.endswith(", test_fraction, seed")
    (line,) = refused("gate", {"Q" * 500: 1})
    assert line.endswith(", depth_rmse_max, firmware_mismatches_max and 1 more")
    (line,) = refused("data", {"source": "\x1b[1m\u202e\x85"})
    assert '"\\u001b[1m\\u202e\\u0085"' in line


def test_of_very_many_faults_the_first_are_told() -> None:
    lines = refused("model", {"depths": [0] * 1000, "heads": [0]})
    assert len(lines) == 12
    assert lines[9].startswith("params.yaml: model.depths[9] is 0; expected ")
    assert lines[10].startswith("params.yaml: model.heads[0] is 0; expected ")
    assert lines[11] == "params.yaml: model.depths has 990 more such faults; expected none"


def test_of_very_many_unknown_keys_the_first_are_told(tmp_path: Path) -> None:
    """Each fault went through all keys: 20 s, and 10,000 lines."""
    path = tmp_path / "params.yaml"
    path.write_text("train:\n" + "".join(f"  k{n}: 0\n" for n in range(10**4)))
    began = time.process_time()
    with pytest.raises(UserError) as caught:
        read_sections(path, (TrainParams,))
    assert time.process_time() - began < 2
    lines = caught.value.lines
    missing, unknown = lines[: -(10 + 1)], lines[-11:]
    assert len(missing) == len(TrainParams.model_fields)
    assert all(" is missing; expected " in line for line in missing)
    assert all(f"train.k{n} is an unknown key; " in line for n, line in enumerate(unknown[:10]))
    assert unknown[10] == "params.yaml: train has 9990 more unknown keys; expected none"
    odd: dict[Any, Any] = dict.fromkeys(range(10**4), math.nan)
    began = time.process_time()
    assert len(refused("train", odd)) == 11
    assert time.process_time() - began < 2
    path.write_text("".join(f"k{n}: 0\n" for n in range(10**4)))
    with pytest.raises(UserError) as caught:
        read_sections(path, (), ["train"])
    assert len(caught.value.lines) == 11
    assert caught.value.lines[10] == (
        "params.yaml: the file has 9990 more unknown keys; expected none"
    )


def test_a_key_is_named_as_it_stands_and_once(tmp_path: Path) -> None:
    odd: dict[Any, Any] = {"\ud800": 0, b"hi": 1, 1: 2, "1": 3, "Q" * 50: 4, "Q" * 51: 5, None: 6}
    begun = [line.partition(" is an unknown key; ")[0] for line in refused("train", odd)]
    keys = (r"\ud800", "(binary data)", "1", "Q" * 40 + "...", "null")
    assert begun == [f"params.yaml: train.{key}" for key in keys]
    both: dict[Any, Any] = {1: [math.nan], "1": 3}
    (line,) = refused("train", both)
    assert line.startswith("params.yaml: train.1 is an unknown key; ")
    path = tmp_path / "params.yaml"
    path.write_text(f"1: 0\n'1': 0\n? 0x{'f' * 5000}\n: 0\n")
    with pytest.raises(UserError) as caught:
        read_sections(path, (), ["train"])
    assert caught.value.lines == (
        "params.yaml: 1 is an unknown key; expected one of train",
        "params.yaml: an integer of thousands of digits is an unknown key; expected one of train",
    )


def test_numbers_that_are_too_long() -> None:
    for value, found in (
        (10**400, f"1{'0' * 79}..."), (-(10**400), f"-1{'0' * 78}..."), (math.inf, "inf"),
        (2**14100, "an integer of thousands of digits"),
    ):  # fmt: skip
        (line,) = refused("train", {"clip_norm": value})
        assert line == f"params.yaml: train.clip_norm is {found}; expected a finite number above 0"
    (line,) = refused("train", {"patience": 2**14100})
    assert line.startswith(
        "params.yaml: train.patience is an integer of thousands of digits; expected a shorter "
        "integer at least 1"
    )


def test_a_mapping_is_told_as_one() -> None:
    (line,) = refused("train", {"lr": {b"hi": 1}})
    assert line.startswith('params.yaml: train.lr is {"binary data": 1}; expected a number')
    (line,) = refused("train", {"lr": MappingProxyType({"a": 1})})
    assert line.startswith('params.yaml: train.lr is {"a": 1}; expected a number')


def test_what_json_does_not_hold() -> None:
    endless: list[object] = []
    endless.append(endless)
    for value, found in (
        ({1, 2}, "a set"), (b"bytes", "binary data"), (endless, "a list that contains itself"),
        (date(2020, 1, 2), "a date"), ("\ud800", r'"\ud800", half a character'),
        (10**5000, "an integer of thousands of digits"), ([[math.nan]], "[[NaN]]"),
    ):  # fmt: skip
        assert (
            refused("data", {"path": value, "limit": 9})
            == (
                "params.yaml: data.limit is 9; expected an integer at least 10 or null",
                f"params.yaml: data.path is {found}; expected a string or null",
            )[:: -1 if found == "[[NaN]]" else 1]
        )
    odd: dict[Any, Any] = {3: math.nan, None: {1: {2}}}
    assert refused("data", odd) == tuple(
        f"params.yaml: data.{key} is an unknown key; expected one of source, path, image_size, "
        "height, width, scenes, jitter, tilt, camera, canvases, items_of, items, item_size, limit, "
        "val_fraction, test_fraction, seed"
        for key in ("3", "null")
    )


@pytest.mark.parametrize(
    ("raw", "found"),
    [(None, "missing"), (3, "3"), ([1], "[1]"), ("text", '"text"'), (False, "false")],
)
def test_a_section_that_is_no_mapping(raw: object, found: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(raw, DataParams, "params.yaml")
    assert str(caught.value) == f"params.yaml: data is {found}; expected a mapping of keys"


def test_an_unknown_section(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("data: {}\ntrian: {}\nzoo: 1\n")
    with pytest.raises(UserError) as caught:
        read_sections(path, (), ["data", "train"])
    assert caught.value.lines == (
        "params.yaml: trian is an unknown key; did you mean train?",
        "params.yaml: zoo is an unknown key; expected one of data, train",
    )


SCALARS = {
    "010": 10, "08": 8, "1_000": 1000, "0o17": 15, "0x1F": 31, "-0x1F": -31, "0b11": 3, "+1": 1,
    "1e-3": 0.001, "1e3": 1000.0, "1.": 1.0, ".5": 0.5, "-1.5e+3": -1500.0, "1_0.5": 10.5, "0": 0,
    "true": True, "FALSE": False, "yes": "yes", "no": "no", "on": "on", "Off": "Off",
    "null": None, "~": None, "": None, "none": "none", "1:30": "1:30", "'1'": "1", "1e": "1e",
    ".inf": math.inf, "-.INF": -math.inf, "-": "-", "1a": "1a", "nested": "nested",
}  # fmt: skip


def same(one: object, other: object) -> bool:
    return one == other and type(one) is type(other)


@pytest.mark.parametrize("text", [text for text in SCALARS if text != "-"])
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"key: {text}\n")
    assert same(read_yaml(path)["key"], SCALARS[text])


def test_scalars_are_what_dvc_tracks(tmp_path: Path) -> None:
    """A seed of 010 must not be 10 for DVC and 8 for us."""
    ruamel = pytest.importorskip("ruamel.yaml", reason="DVC reads YAML with it")
    path = tmp_path / "params.yaml"
    path.write_text("".join(f"k{n}: {text}\n" for n, text in enumerate(SCALARS) if text != "-"))
    found, expected = read_yaml(path), ruamel.YAML(typ="safe").load(path.read_text())
    assert found.keys() == expected.keys()
    assert [key for key in found if not same(found[key], expected[key])] == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "params.yaml line 3: key 'a' stands twice; expected valid YAML"),
        (
            "a:\n  b: 1\n  b: 2\n",
            "params.yaml line 3: key 'b' stands twice; expected valid YAML",
        ),
        (
            "a: b: c\n",
            "params.yaml line 1: mapping values are not allowed here; expected valid YAML",
        ),
        (
            "? [1]\n: 2\n",
            "params.yaml line 1: a list or mapping stands as a key; expected valid YAML",
        ),
        (
            "a: !!python/object:os.system 1\n",
            "params.yaml line 1: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system'; expected valid YAML",
        ),
        ("", "params.yaml: is empty; expected a mapping of keys"),
        ("- 1\n", "params.yaml: holds [1]; expected a mapping of keys"),
        ("3\n", "params.yaml: holds 3; expected a mapping of keys"),
        (
            "a:\n  b: !!int x\n",
            'params.yaml line 2: "x" cannot be read as an integer; expected valid YAML',
        ),
        (
            f"a: {'7' * 5000}\n",
            f'params.yaml line 1: "{"7" * 79}... cannot be read as an integer; expected valid YAML',
        ),
    ],
)
def test_broken_yaml(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    assert caught.value.lines == (line,)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"params.yaml: no such file in {tmp_path}; expected it there"
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    assert str(caught.value) == "params.yaml: byte 3 is not UTF-8; expected text"
    with pytest.raises(UserError, match=r": Is a directory; expected a file to read$"):
        read_yaml(tmp_path)


def test_leaves_and_what_dvc_tracks() -> None:
    assert leaves({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None}) == {
        "a.b": 1,
        "a.c.d": [1, 2],
        "e": None,
    }
    assert tracked_leaves(RuntimeParams) == ["runtime.device"]
    for kind in KINDS[:-1]:
        leaves_of = tracked_leaves(kind.of(PARAMS[kind.title]))
        assert set(leaves_of) == {f"{kind.title}.{key}" for key in PARAMS[kind.title]}
