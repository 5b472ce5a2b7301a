"""The panel of spheres: what stands in the page, how large it is, and its index arithmetic."""

from __future__ import annotations

import base64
import json
import math
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocore.healpix import draw
from geocore.healpix.locate import ang2pix
from geocore.report import rendering
from geocore.report import sphere_panel as module
from geocore.report.sphere_file import spheres_bytes
from geocore.report.sphere_panel import sphere_panel
from tests.report.reader import Page
from tests.report.spheres import SCRIPTS, classified, segmented

TEMPLATES = Path(rendering.__file__).parent / "templates"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def data_of(html: str) -> dict[str, Any]:
    """The JSON that the panel's program reads."""
    start = html.index('id="spheres-data">') + len('id="spheres-data">')
    found: dict[str, Any] = json.loads(html[start : html.index("</script>", start)])
    return found


def unpacked(data: dict[str, Any], entry: dict[str, Any]) -> Any:
    raw = zlib.decompress(base64.b64decode(data["maps"][entry["map"]]))
    return np.frombuffer(raw, "<u2" if entry.get("steps", 0) > 254 else np.uint8)


def test_without_spheres_there_is_nothing() -> None:
    assert sphere_panel([]) == "" and sphere_panel([("main", b""), ("branch", b"")]) == ""


def test_each_run_has_its_globes_under_its_own_number() -> None:
    runs = [("none", b""), ("seg", spheres_bytes(segmented())),
            ("whole", spheres_bytes(classified()))]  # fmt: skip
    page = Page(str(sphere_panel(runs)))
    assert page.faults == [] and page.fetched() == set()
    found = [name for name in page.attributes("data-testid") if name.startswith("sphere-")]
    seen = ("input", "label", "prediction", "uncertainty", "difference", "turned", "acted", "apart")
    assert found == [
        "sphere-1-other", *(f"sphere-1-{what}" for what in seen), "sphere-1-relative",
        "sphere-1-spectra", "sphere-2-other", "sphere-2-input", "sphere-2-turned-input",
        "sphere-2-relative", "sphere-2-spectra",
    ]  # fmt: skip
    assert page.attributes("data-run") == ["1", "2"]
    canvases = [pairs for tag, pairs in page.tags if tag == "canvas"]
    assert all(pairs["role"] == "img" and pairs["aria-label"] for pairs in canvases)
    assert {"spheres", "rotation", "sample"} <= {*page.attributes("data-testid")}


def test_names_stay_text() -> None:
    html = sphere_panel([(EVIL, spheres_bytes(segmented())), (EVIL + "2", b"broken")])
    page = Page(str(html))
    assert page.faults == [] and "img" not in page.names()
    assert len(page.scripts) == 1 and EVIL in page.text and f"{EVIL}2: spheres: " in page.text
    assert data_of(html)["runs"][0]["name"] == EVIL


def test_a_broken_file_is_a_line_and_the_others_are_shown() -> None:
    html = sphere_panel([("bad", b"ARROW1"), ("good", spheres_bytes(segmented()))])
    page = Page(str(html))
    assert "bad: spheres: the file is damaged" in page.text
    assert [run["run"] for run in data_of(html)["runs"]] == [1]
    alone = Page(str(sphere_panel([("bad", b"ARROW1")])))
    assert "bad: spheres: the file is damaged" in alone.text and "canvas" not in alone.names()


def test_maps_are_what_they_were_to_half_a_step() -> None:
    spheres = segmented(4)
    data = data_of(sphere_panel([("run", spheres_bytes(spheres))]))
    entry, one = data["runs"][0]["samples"][1], spheres.samples[1]
    assert data["samples"] == ["3", "10"]
    np.testing.assert_array_equal(unpacked(data, entry["prediction"]), one.prediction)
    np.testing.assert_array_equal(unpacked(data, entry["turns"][2]["found"]), one.turns[2].found)
    for told, values in ((entry["input"], one.input[:, 0]), (entry["uncertainty"], one.uncertainty),
                         (entry["turns"][1]["difference"], one.turns[1].difference)):  # fmt: skip
        step = (told["high"] - told["low"]) / told["steps"]
        back = told["low"] + step * unpacked(data, told)
        assert np.abs(back - values).max() <= 0.51 * step + 1e-4
    assert entry["uncertainty"]["high"] == pytest.approx(math.log(3), abs=1e-3)


def test_what_is_not_known_has_the_code_of_nothing() -> None:
    spheres = segmented(2, samples=1)
    spheres.samples[0].input[5] = np.nan
    data = data_of(sphere_panel([("run", spheres_bytes(spheres))]))
    codes = unpacked(data, data["runs"][0]["samples"][0]["input"])
    assert (codes == 255).nonzero()[0].tolist() == [5]


def test_equal_maps_of_several_runs_stand_there_once() -> None:
    first, second = (spheres_bytes(segmented(seed=seed)) for seed in (0, 1))
    one = data_of(sphere_panel([("a", first)]))
    same = data_of(sphere_panel([("a", first), ("b", first)]))
    assert same["maps"] == one["maps"]
    other = data_of(sphere_panel([("a", first), ("b", second)]))
    inputs = [run["samples"][0]["input"]["map"] for run in other["runs"]]
    assert inputs[0] == inputs[1]
    assert len(one["maps"]) < len(other["maps"]) < 2 * len(one["maps"])


def test_twenty_runs_at_nside_32_take_less_than_six_megabytes() -> None:
    runs = [(f"run {seed}", spheres_bytes(segmented(32, seed, samples=4, turns=8)))
            for seed in range(20)]  # fmt: skip
    html = sphere_panel(runs)
    assert len(html.encode()) < 6_000_000
    assert len(data_of(html)["samples"]) == 4
    assert sphere_panel(runs[:2]) == sphere_panel(runs[:2])


def weight(data: dict[str, Any]) -> int:
    """Characters of the maps and of what is told beside them."""
    return sum(map(len, data["maps"])) + sum(
        len(json.dumps(one)) for run in data["runs"] for one in run["samples"] if one
    )


def test_what_would_be_too_much_is_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = spheres_bytes(segmented(8, samples=3))
    whole = data_of(sphere_panel([("run", content)]))
    monkeypatch.setattr(module, "_BUDGET", weight(whole) // 2)
    html = sphere_panel([("run", content)])
    data = data_of(html)
    assert data["samples"] == whole["samples"][:1] and "2 more samples are left out" in html
    assert data["maps"] == whole["maps"][: len(data["maps"])]
    numbers = json.dumps(data["runs"])
    assert f'"map": {len(data["maps"])}' not in numbers


def test_of_one_sample_there_are_as_many_runs_as_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [(f"run {n}", spheres_bytes(segmented(8, n, samples=1))) for n in range(6)]
    fine = ("fine", spheres_bytes(segmented(16, 9, samples=1)))
    whole = data_of(sphere_panel(runs))
    budget = weight(data_of(sphere_panel(runs[:3])))
    monkeypatch.setattr(module, "_BUDGET", budget)
    # One that has no room makes none for the next: a small one after it is there.
    html = sphere_panel([*runs[:2], fine, ("none", b""), *runs[2:]])
    data, page = data_of(html), Page(str(html))
    assert [run["name"] for run in data["runs"]] == ["run 0", "run 1", "run 2"]
    assert (
        data["maps"]
        == data_of(sphere_panel(runs[:3]))["maps"]
        == whole["maps"][: len(data["maps"])]
    )
    assert weight(data) <= budget + 60  # and the scenes
    for name in ("fine", "run 3", "run 4", "run 5"):
        assert f"{name}: its spheres are left out: the page would be too large." in page.text
    assert page.text.count("left out") == 4, "no sample is: they have none but this"
    assert {"sphere-4-input"} <= {*page.attributes("data-testid")} >= {"sphere-1-input"}
    assert not {"sphere-2-input", "sphere-5-input"} & {*page.attributes("data-testid")}


def test_a_run_that_is_too_large_alone_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    large = spheres_bytes(segmented(16, samples=2))
    small = spheres_bytes(replace(segmented(4), samples=segmented(4, samples=4).samples[2:]))
    monkeypatch.setattr(module, "_BUDGET", weight(data_of(sphere_panel([("small", small)]))))
    page = Page(str(sphere_panel([("large", large)])))
    assert "large: its spheres are left out" in page.text and "canvas" not in page.names()
    data = data_of(sphere_panel([("large", large), ("small", small)]))
    assert [run["name"] for run in data["runs"]] == ["small"]
    assert data["samples"] == ["17", "24"], "those that the other alone has are not missed"


def test_its_colours_are_those_of_the_pictures() -> None:
    text = (TEMPLATES / "spheres.js").read_text().replace('" +\n    "', "")
    assert draw._MAGMA in text


def test_directions_find_the_pixels_that_geocore_finds(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node: the same is tested in a browser")
    generator = np.random.default_rng(0)
    z, longitude = generator.uniform(-1, 1, 100_000), generator.uniform(-7, 7, 100_000)
    z[:6] = [1, -1, 2 / 3, -2 / 3, 0, 0.999_999_999]
    colatitude = np.arccos(z)
    file = tmp_path / "angles.json"
    file.write_text(json.dumps([colatitude.tolist(), longitude.tolist()]))
    program = (
        "const { ang2pix } = require(process.argv[1]);"
        "const [theta, phi] = JSON.parse(require('fs').readFileSync(process.argv[2]));"
        "console.log(JSON.stringify([1, 8, 32, 64].map((nside) =>"
        " theta.map((angle, at) => ang2pix(nside, angle, phi[at])))));"
    )
    done = subprocess.run(
        [node, "-e", program, str(TEMPLATES / "spheres.js"), str(file)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    for nside, found in zip((1, 8, 32, 64), json.loads(done.stdout), strict=True):
        expected = ang2pix(nside, torch.from_numpy(colatitude), torch.from_numpy(longitude))
        # What lies on an edge, to the last bit, belongs to either side.
        assert int((expected != torch.tensor(found)).sum()) <= 3


def test_all_of_its_programs_are_there() -> None:
    assert {path.name for path in TEMPLATES.glob("spheres*.js")} == {*SCRIPTS}
