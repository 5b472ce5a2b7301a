"""Another network: both files change together, or neither."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from geocore.config.load import read_sections
from geocore.config.model import ModelParams
from geocore.errors import UserError
from geocore.pipeline.studies.networks import STARTING, _with_section, use_network
from geocore.pipeline.wiring import faults

ROOT = Path(__file__).parents[3]
_KEPT = ("geocore", "flows", "tasks", "dvc.yaml", "params.yaml", "presets.yaml", "prefect.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in _KEPT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pyc*"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    below = tmp_path / "studies/spherical_mnist"
    below.mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / "studies/spherical_mnist" / name, below / name)
    return tmp_path


def texts(root: Path) -> list[str]:
    return [(root / name).read_text(encoding="utf-8") for name in ("params.yaml", "dvc.yaml")]


@pytest.mark.parametrize("name", STARTING)
def test_every_start_is_valid(name: str, tmp_path: Path) -> None:
    from geocore.pipeline.studies.scaffold import as_yaml

    (tmp_path / "params.yaml").write_text(as_yaml({"model": dict(STARTING[name])}))
    section = read_sections(tmp_path / "params.yaml", [ModelParams])["model"]
    assert section.model_dump(mode="json") == STARTING[name]


def test_the_wiring_holds_with_another_network_and_the_way_back_is_exact(project: Path) -> None:
    before, wrong = texts(project), set(faults(project))
    use_network(project, "heal_swin")
    assert "  name: heal_swin\n" in texts(project)[0]
    assert texts(project)[1].count("- model.shift") == before[1].count("- model.name")
    assert "- model.block" not in texts(project)[1]
    assert set(faults(project)) == wrong
    use_network(project, "healpix_encoder")
    assert texts(project) == before


@pytest.mark.parametrize("end", ["# of what follows\ntrain:\n  lr: 1\n", ""])
def test_what_follows_the_section_stays(end: str) -> None:
    text = f"data: 1\nmodel:\n  name: cnn\n\n# between\n  strides: [2, 2]\n{end}"
    assert _with_section(text, {"name": "swin"}) == f"data: 1\nmodel:\n  name: swin\n{end}"
    if not end:  # nor must the last line have an end
        assert _with_section(text[:-1], {"name": "swin"}) == "data: 1\nmodel:\n  name: swin\n"


def test_the_settings_of_a_study(project: Path) -> None:
    use_network(project, "heal_swin", like="spherical_mnist")
    assert "  depths: [2, 2, 2]\n" in texts(project)[0]
    with pytest.raises(UserError, match=r"params.yaml: model.name is heal_swin; expected swin"):
        use_network(project, "swin", like="spherical_mnist")


def test_what_does_not_fit_changes_nothing(project: Path) -> None:
    before = texts(project)
    with pytest.raises(UserError, match=r"model cnn: does not fit here: .*driscoll_healy"):
        use_network(project, "cnn")
    with pytest.raises(UserError, match="model 'vgg': expected one of healpix_encoder"):
        use_network(project, "vgg")
    with pytest.raises(UserError, match="study 'nope' is unknown"):
        use_network(project, "heal_swin", study="nope")
    assert texts(project) == before
