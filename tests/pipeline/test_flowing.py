"""What would show after hours of training is found by ``geocore check``: here on a whole study."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocore.config.load import read_yaml
from geocore.pipeline.flowing import flow_faults, table_type
from geocore.pipeline.pipelines import makers, read_pipelines
from geocore.pipeline.wiring import _collecting_faults, faults

ROOT = Path(__file__).parents[2]
STUDY = "studies/heal_swin"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("flows", "tasks", "geocore"):
        (tmp_path / name).symlink_to(ROOT / name)
    files = [ROOT / name for name in ("dvc.yaml", "params.yaml", "prefect.yaml")]
    for name in ("dvc.yaml", "params.yaml"):
        files += (ROOT / "studies").rglob(name)
    for file in files:
        target = tmp_path / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path


def change(root: Path, file: str, section: str, **values: Any) -> None:
    document = read_yaml(root / STUDY / file)
    document[section].update(values)
    (root / STUDY / file).write_text(yaml.safe_dump(document, sort_keys=False))


def without(root: Path, folder: str, stage: str, dep: str, instead: str | None = None) -> None:
    """Take a dep out of a stage of a study below, or put another in its place."""
    file = root / STUDY / folder / "dvc.yaml"
    document = read_yaml(file)
    deps = document["stages"][stage]["deps"]
    place = deps.index(dep)
    deps[place : place + 1] = [] if instead is None else [instead]
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def told(root: Path) -> list[str]:
    """What ``geocore check`` says, but for what it finds in the code itself."""
    pipelines, lines = read_pipelines(root)
    for pipeline in pipelines.values():
        lines += _collecting_faults(pipeline, pipelines)
        before = f"{pipeline.study}: " if pipeline.study else ""
        lines += [before + line for line in flow_faults(pipeline, makers(pipelines))]
    return lines


def test_labels_and_channels_are_those_of_the_source(copy: Path) -> None:
    made = makers(read_pipelines(copy)[0])
    for path, kind in (
        (f"{STUDY}/data/healpix", "mask"),
        (f"{STUDY}/data/projected", "mask"),
        ("studies/spherical_mnist/rotated/data/healpix", "class"),
    ):
        found = table_type(path, made)
        assert found is not None and found.label_kind == kind
    assert table_type("no/such/table", made) is None


def test_a_task_that_the_labels_are_not_for(copy: Path) -> None:
    change(
        copy,
        "segmentation/heal_swin/params.yaml",
        "train",
        task="classification",
        class_weights="none",
    )
    assert told(copy) == [
        f"{STUDY}/segmentation/heal_swin: resample of {STUDY} -> train (healpix): label_kind is "
        "mask; expected class"
    ]


def test_a_table_of_another_nside_than_the_network_was_trained_on(copy: Path) -> None:
    change(copy, "depth/heal_swin/ignored/params.yaml", "resample", nside=32)
    assert told(copy) == [
        f"{STUDY}/depth/heal_swin/ignored: stage evaluate (healpix): other than the network was "
        "trained on: nside is 32; expected 64"
    ]


def test_a_network_measured_without_the_table_that_it_reads(copy: Path) -> None:
    without(copy, "segmentation/heal_swin", "evaluate", f"{STUDY}/data/healpix")
    assert told(copy) == [
        f"{STUDY}/segmentation/heal_swin: stage evaluate: deps lack data/healpix; expected the "
        "table that the network of train reads"
    ]


def test_a_table_that_no_stage_gives(copy: Path) -> None:
    nowhere = f"{STUDY}/depth/data/projected"
    without(copy, "depth/heal_swin", "evaluate", f"{STUDY}/data/projected", nowhere)
    assert told(copy) == [
        f"{STUDY}/depth/heal_swin: stage evaluate: takes {nowhere}, which no stage gives"
    ]


def test_a_study_below_that_is_not_collected(copy: Path) -> None:
    metrics = f"{STUDY}/depth/swin/results/evaluate/metrics.json"
    without(copy, ".", "collect", metrics)
    assert told(copy) == [
        f"{STUDY}/dvc.yaml: stage collect: deps lack {metrics}; expected that of each study below"
    ]


def test_a_study_below_that_is_not_there(copy: Path) -> None:
    right = f"{STUDY}/depth/swin/results/train/curve.csv"
    wrong = f"{STUDY}/depth/swim/results/train/curve.csv"
    without(copy, ".", "collect", right, wrong)
    assert told(copy) == [
        f"{STUDY}: stage collect: takes depth/swim/results/train/curve.csv, which no stage gives"
    ]


def test_nothing_to_collect(copy: Path) -> None:
    document = read_yaml(copy / STUDY / "dvc.yaml")
    deps = document["stages"]["collect"]["deps"]
    deps[:] = [dep for dep in deps if not dep.startswith(STUDY)]
    (copy / STUDY / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert (
        f"{STUDY}/dvc.yaml: stage collect: deps name no results/evaluate/metrics.json of a study "
        "below; expected at least one"
    ) in told(copy)


def test_a_command_or_folder_of_another_study(copy: Path) -> None:
    file, folder = copy / STUDY / "depth/swin/dvc.yaml", "studies/heal_swin/depth/swin"
    file.write_text(file.read_text().replace(f"flows.train {folder}", "flows.train"))
    change(copy, "depth/heal_swin/ignored/params.yaml", "resample", nside=32)
    found = faults(copy)
    assert any(line.endswith(f"expected 'python -m flows.train {folder}'") for line in found)
    assert any(line.endswith("nside is 32; expected 64") for line in found)
    assert len(found) == 2
