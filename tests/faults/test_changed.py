"""Data that changed under the cache: the next run is made from what lies there now."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.faults.injecting import Prepared, drawn
from tests.faults.project import Project
from tests.faults.rows import Row, record
from tests.faults.workshop import Workshop

pytestmark = [pytest.mark.faults, pytest.mark.slow]
TRIES = 3


def draw_images(project: Project) -> None:
    generator = np.random.default_rng(0)
    for label in "ab":
        folder = project.root / "data/own/images" / label
        folder.mkdir(parents=True)
        for number in range(8):
            pixels = generator.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")


def test_an_image_is_replaced(shop: Workshop, prepared: Prepared) -> None:
    """Fetch, asked again, gives what a project would that never saw the old image."""
    known = prepared.undisturbed("fetch")
    wrong = unclear = 0
    for number in range(TRIES):
        generator = drawn("image", number)
        label, image = generator.choice("ab"), generator.randrange(8)
        new = Image.fromarray(np.full((8, 8), number, np.uint8))
        old, fresh = (prepared.copy("fetch") for _ in range(2))
        for project in (old, fresh):
            project.change(
                data__source="image_folder", data__path="data/own/images", data__limit=None
            )
            draw_images(project)
        unclear += shop.run(old.root, "fetch").code != 0
        for project in (old, fresh):
            new.save(project.root / f"data/own/images/{label}/{image}.png")
        unclear += sum(shop.run(project.root, "fetch").code != 0 for project in (old, fresh))
        wrong += old.outputs(known.paths) != fresh.outputs(known.paths)
    row = Row("an image changed under the cache", "fetch", TRIES, 0, wrong, unclear)
    assert record(row).survived


def test_a_table_is_exchanged(shop: Workshop, prepared: Prepared) -> None:
    """What was trained on the one is not handed out for the other; the first is found again."""
    known = prepared.undisturbed("train")
    other = prepared.copy("fetch")
    other.change(data__seed=1)
    for stage in ("fetch", "project", "resample"):
        assert shop.run(other.root, stage).code == 0
    project = prepared.done("train")
    kept = project.pieces()
    first, second = project.root / "data/healpix", other.root / "data/healpix"
    aside = project.root / "data/aside"
    first.rename(aside)
    second.rename(first)
    project.remove(known.paths)
    unclear = int(shop.run(project.root, "train").code != 0)
    wrong = int(not known.wrong(project))
    first.rename(second)
    aside.rename(first)
    project.remove(known.paths)
    unclear += shop.run(project.root, "train").code != 0
    wrong += known.wrong(project)
    newest = project.ledger.runs("train")[0]
    lost = len(kept - project.pieces()) + ("made" in newest["pieces"].values())
    row = Row("a table exchanged under the cache", "train", 2, lost, wrong, unclear)
    assert record(row).survived
