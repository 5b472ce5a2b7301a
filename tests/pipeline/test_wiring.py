"""``geocore check`` finds each kind of disagreement and names it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocore.config.load import read_yaml
from geocore.pipeline.wiring import faults

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("dvc.yaml", "params.yaml", "prefect.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("flows", "tasks", "geocore"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def change(root: Path, file: str, *path: str | int, value: Any) -> None:
    document = read_yaml(root / file)
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (root / file).write_text(yaml.safe_dump(document, sort_keys=False))


def test_the_project_itself_holds() -> None:
    assert faults(ROOT) == []


def test_a_ring_map_into_a_nested_model(copy: Path) -> None:
    change(copy, "params.yaml", "resample", "ordering", value="ring")
    assert "resample -> train (healpix): ordering is ring; expected nested" in faults(copy)


def test_an_unknown_section_and_a_wrong_value(copy: Path) -> None:
    change(copy, "params.yaml", "trian", value={"lr": 1})
    assert any("trian is an unknown key; did you mean train?" in line for line in faults(copy))
    change(copy, "params.yaml", "train", "lr", value="fast")


def test_a_parameter_that_dvc_does_not_track(copy: Path) -> None:
    document = read_yaml(copy / "dvc.yaml")
    document["stages"]["train"]["params"].remove("train.lr")
    (copy / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert faults(copy) == [
        "dvc.yaml: stage train: params lack train.lr; expected it as geocore.pipeline declares"
    ]


def test_code_that_is_imported_but_no_dependency(copy: Path) -> None:
    document = read_yaml(copy / "dvc.yaml")
    document["stages"]["train"]["deps"].remove("geocore/train")
    document["stages"]["train"]["deps"].append("geocore/camera")
    (copy / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    found = faults(copy)
    assert any("deps lack geocore/train/loop.py" in line for line in found)
    assert any("deps have geocore/camera; expected only code" in line for line in found)


def test_an_optional_input_that_a_stage_here_makes(copy: Path) -> None:
    document = read_yaml(copy / "dvc.yaml")
    document["stages"]["gate"]["deps"].remove("results/synthesize/gates.json")
    (copy / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert faults(copy) == [
        "dvc.yaml: stage gate: deps lack results/synthesize/gates.json; expected what synthesize "
        "gives, since it is a stage here"
    ]
    del document["stages"]["synthesize"]
    document["stages"]["report"]["deps"] = [
        dep for dep in document["stages"]["report"]["deps"] if "/synthesize/" not in dep
    ]
    (copy / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    found = [line for line in faults(copy) if "synthesize is an unknown key" not in line]
    assert found == [], "a pipeline without it is whole"


def test_a_stage_without_declaration(copy: Path) -> None:
    change(copy, "dvc.yaml", "stages", "magic", value={"cmd": "python -m flows.magic"})
    assert any(line.startswith("stage 'magic'") for line in faults(copy))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "entrypoint",
            "flows/none.py:x",
            "entrypoint is 'flows/none.py:x'; expected flows/FILE.py:FLOW",
        ),
        ("entrypoint", "flows/repro.py:nothing", "flows/repro.py has no flow 'nothing'"),
        ("parameters", {"goals": []}, "parameter goals is unknown; expected targets, root"),
        ("work_pool", {}, "no work_pool.name"),
    ],
)
def test_a_deployment_that_cannot_run(copy: Path, key: str, value: Any, message: str) -> None:
    change(copy, "prefect.yaml", "deployments", 0, key, value=value)
    assert any(message in line for line in faults(copy)), faults(copy)


def test_an_output_that_the_parameters_choose(copy: Path) -> None:
    """``dvc.yaml`` must name the table that is made; what takes the other has no maker then."""
    equiangular = {"grid": "driscoll-healy", "nside": None, "ordering": None, "faces": None}
    resample = read_yaml(copy / "params.yaml")["resample"] | equiangular | {"bandlimit": 8}
    change(copy, "params.yaml", "resample", value=resample)
    found = faults(copy)
    given = "expected it as geocore.pipeline declares"
    assert f"dvc.yaml: stage resample: outs lack data/driscoll_healy; {given}" in found
    assert (
        "dvc.yaml: stage resample: outs have data/healpix; "
        "expected only what geocore.pipeline declares"
    ) in found
    assert "stage train: takes data/healpix, which no stage gives" in found
    outs = read_yaml(copy / "dvc.yaml")["stages"]["resample"]["outs"]
    outs = ["data/driscoll_healy" if out == "data/healpix" else out for out in outs]
    change(copy, "dvc.yaml", "stages", "resample", "outs", value=outs)
    assert not [line for line in faults(copy) if "resample" in line]
    change(copy, "params.yaml", "resample", "bandlimit", value="many")
    (line,) = [line for line in faults(copy) if "resample" in line]  # of outs nothing is known
    assert line.startswith('params.yaml: resample.bandlimit is "many"; expected an integer')
