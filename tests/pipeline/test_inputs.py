"""Where inputs are found: own folder, folders above, studies below; and what a parameter needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.config.runtime import RuntimeParams
from geocore.pipeline.inputs import candidates, located, study_files
from geocore.pipeline.stage import Port
from tests.pipeline.stages import RUNTIME

DATA = {"maps": Port("data/healpix", "table")}
CUDA = RuntimeParams(**{**RUNTIME.model_dump(), "device": "cuda"})


@pytest.mark.parametrize(
    ("study", "deps", "found"),
    [
        ("", ["data/healpix"], "data/healpix"),
        ("studies/a", ["studies/a/data/healpix"], "studies/a/data/healpix"),
        ("studies/a/b", ["studies/a/data/healpix"], "studies/a/data/healpix"),
        ("studies/a/b/c", ["studies/a/data/healpix"], "studies/a/data/healpix"),
        ("studies/a/b", ["data/healpix"], "data/healpix"),
        # The nearest goes before what lies further up.
        ("studies/a/b", ["data/healpix", "studies/a/data/healpix"], "studies/a/data/healpix"),
        # A sister's is none, and what must be there is told where it should be.
        ("studies/a/b", ["studies/a/c/data/healpix"], "studies/a/b/data/healpix"),
        ("studies/a/b", [], "studies/a/b/data/healpix"),
    ],
)
def test_the_nearest_folder_that_the_deps_list(study: str, deps: list[str], found: str) -> None:
    assert located(DATA, study, deps, {}) == {"maps": (found,)}


def test_an_optional_input_that_no_dep_names_is_left_out() -> None:
    takes = {"maps": Port("data/healpix", "table", optional=True)}
    assert located(takes, "studies/a", ["studies/b/data/healpix"], {}) == {}


def test_an_input_that_some_parameters_need() -> None:
    def on_cuda(sections: object) -> bool:
        return isinstance(sections, dict) and sections["runtime"].device == "cuda"

    takes = {"maps": Port("data/healpix", "table", needed=on_cuda)}
    deps = ["data/healpix"]
    assert located(takes, "", deps, {"runtime": RUNTIME}) == {}
    assert located(takes, "", [], {"runtime": CUDA}) == {"maps": ("data/healpix",)}
    assert located(takes, "", deps, {"runtime": CUDA}) == {"maps": ("data/healpix",)}
    assert located(takes, "", deps, None) == {"maps": ("data/healpix",)}
    assert located(takes, "", [], None) == {}


def test_one_input_in_each_study_below() -> None:
    takes = {"metrics": Port("results/m.json", "metrics", each=True)}
    below = ["studies/a/x/results/m.json", "studies/a/y/z/results/m.json"]
    others = ["studies/a/results/m.json", "studies/ab/x/results/m.json", "studies/a/x/other.json"]
    assert located(takes, "studies/a", [*reversed(below), *others], {}) == {"metrics": tuple(below)}
    assert located(takes, "", below, {}) == {"metrics": tuple(below)}


def test_candidates_go_up_to_the_root() -> None:
    assert candidates(DATA["maps"], "studies/a/b") == [
        "studies/a/b/data/healpix",
        "studies/a/data/healpix",
        "studies/data/healpix",
        "data/healpix",
    ]


def test_studies_at_any_depth_but_hidden_ones(tmp_path: Path) -> None:
    for folder in ("studies/a", "studies/a/b", "studies/.a.tmp-1", "studies/c"):
        (tmp_path / folder).mkdir(parents=True)
        if folder != "studies/c":
            (tmp_path / folder / "dvc.yaml").write_text("stages: {}\n")
    assert study_files(tmp_path) == [tmp_path / f"studies/{n}/dvc.yaml" for n in ("a", "a/b")]
