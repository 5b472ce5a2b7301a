"""Opening a stage: its key changes with what decides its result, and with nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from geocore.config.load import read_yaml
from geocore.errors import UserError
from geocore.pipeline.fetch import STAGE as FETCH
from geocore.pipeline.project import STAGE as PROJECT
from geocore.pipeline.run import _input_digest, make, open_job, stage_of, whole
from geocore.pipeline.stage import Port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the root's parameters, its code linked."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("flows", "tasks"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "geocore", tmp_path / "geocore", ignore=lambda *_: ["__pycache__"])
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_key_follows_parameters_and_statements_alone(root: Path) -> None:
    key = open_job(FETCH, root).key
    assert open_job(FETCH, root).key == key
    edit(root / "params.yaml", "threads: 1", "threads: 2")
    assert open_job(FETCH, root).key == key, "threads decide no result"
    edit(root / "geocore/data/split.py", '"""', '"""More words. ')
    assert open_job(FETCH, root).key == key, "neither does a docstring"
    edit(root / "geocore/runs/ledger.py", "__all__ =", "_UNUSED = 1\n__all__ =")
    assert open_job(FETCH, root).key == key, "nor the ledger"
    edit(root / "geocore/camera/rotated.py", "__all__ =", "_UNUSED = 1\n__all__ =")
    assert open_job(FETCH, root).key == key, "nor a camera, for fetch"
    edit(root / "geocore/data/split.py", "__all__ =", "_UNUSED = 1\n__all__ =")
    changed = open_job(FETCH, root).key
    assert changed != key
    fraction = read_yaml(root / "params.yaml")["data"]["val_fraction"]
    edit(root / "params.yaml", f"val_fraction: {fraction}", "val_fraction: .1")
    assert open_job(FETCH, root).key not in (key, changed)


def test_a_missing_input_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"^data/raw: missing; expected the table 'raw': run dvc"):
        open_job(PROJECT, root)


def test_an_unknown_stage_is_told_its_neighbour() -> None:
    with pytest.raises(UserError, match=r"^stage 'fech' is unknown; did you mean fetch\?$"):
        stage_of("fech", ["fetch", "train"])


def test_a_data_stage_is_made_once_and_again_when_its_output_is_gone(root: Path) -> None:
    edit(root / "params.yaml", "limit: null", "limit: 50")
    edit(root / "params.yaml", "progress: true", "progress: false")
    job = open_job(FETCH, root)
    assert not whole(job)
    notes: list[object] = []
    job = job.noting(lambda **values: notes.append(values.get("pieces")))
    manifest = make(job)
    assert whole(job)
    assert make(job) == manifest
    part = root / "data/raw/part-00000.arrow"
    damaged = bytearray(part.read_bytes())
    damaged[-100] ^= 1
    part.write_bytes(damaged)
    assert not whole(job)
    assert make(job) == manifest
    assert [pieces for pieces in notes if pieces] == [
        {job.key: "made"}, {job.key: "found"}, {job.key: "made"}
    ]  # fmt: skip


def test_the_digest_of_what_several_studies_give_knows_each(tmp_path: Path) -> None:
    port = Port("m.json", "metrics", each=True)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.json").write_text("{}")
    places = ("a/m.json", "b/m.json")
    before = _input_digest(tmp_path, "metrics", port, places)
    (tmp_path / "b/m.json").write_text('{"x": 1}')
    after = _input_digest(tmp_path, "metrics", port, places)
    assert before != after
    assert _input_digest(tmp_path, "metrics", port, places[1:]) != after
    swapped = _input_digest(tmp_path, "metrics", port, ("b/m.json", "a/m.json"))
    assert swapped == after  # which study gave what, in whatever order


def test_a_missing_input_of_a_study_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^studies/a/data/raw: missing; expected the table 'raw'"):
        _input_digest(tmp_path, "raw", Port("data/raw", "table"), ("studies/a/data/raw",))
