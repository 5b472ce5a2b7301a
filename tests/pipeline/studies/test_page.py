"""A study's page: where its headline figure stands, and the figure itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from geocore.errors import UserError
from geocore.pipeline.studies.page import Headline, measured, read_page

FRONT = """\
---
headline:
  label: mean IoU
  file: results/metrics.json
  key: test.iou
  published: 0.76
  source: Table 2
---

# A study of mine

## The claim
"""
HEADLINE = Headline(
    label="mean IoU", file="results/metrics.json", key="test.iou", published=0.76, source="Table 2"
)


def write(folder: Path, text: str, file: str = "README.md") -> Path:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return folder


def test_title_and_headline_are_read(tmp_path: Path) -> None:
    page = read_page(write(tmp_path, FRONT), "studies/x")
    assert (page.title, page.headline) == ("A study of mine", HEADLINE)


@pytest.mark.parametrize("front", ["", "---\nheadline: null\n---\n"])
def test_a_page_may_name_no_headline_yet(tmp_path: Path, front: str) -> None:
    page = read_page(write(tmp_path, f"{front}# Mine\n---\n"), "studies/x")
    assert (page.title, page.headline) == ("Mine", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            FRONT.replace("key: test.iou", "key: test.iou\n  kee: test.iou"),
            "README.md: headline.kee is an unknown key; did you mean headline.key?",
        ),
        (
            FRONT.replace("  source: Table 2\n", ""),
            "README.md: headline.source is missing; expected a non-empty string or null",
        ),
        (
            FRONT.replace("0.76", "about 0.76"),
            'README.md: headline.published is "about 0.76"; expected a number or null',
        ),
        (FRONT.replace("headline", "figure"), "README.md: figure is an unknown key; expected head"),
        (FRONT.replace("source: Table 2\n---", "source: Table 2"), "README.md: no line --- ends"),
        (FRONT.replace("label:", "label: ]"), "README.md line 3: "),
    ],
)
def test_a_faulty_front_matter_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_page(write(tmp_path, text), "studies/x")
    assert caught.value.lines[0].startswith(f"studies/x/{message}")


def test_a_page_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^studies/x/README.md: no such file; expected the study"):
        read_page(tmp_path, "studies/x")
    (tmp_path / "README.md").write_bytes(b"# \xff")
    with pytest.raises(UserError, match=r"^studies/x/README.md: byte 2 is not UTF-8"):
        read_page(tmp_path, "studies/x")


def test_the_figure_is_what_the_file_has(tmp_path: Path) -> None:
    assert measured(tmp_path, HEADLINE, "studies/x") is None
    write(tmp_path, '{"test": {"iou": 0.5}}', HEADLINE.file)
    assert measured(tmp_path, HEADLINE, "studies/x") == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"test": {"iou"', "holds no JSON; expected what a stage wrote"),
        ("", "holds no JSON; expected what a stage wrote"),
        ("[1]", "has no test.iou; expected the figure that headline.key of README.md names"),
        ('{"test": {}}', "has no test.iou; expected"),
        ('{"test": 1}', "has no test.iou; expected"),
        ('{"test": {"iou": null}}', "test.iou is null; expected a finite number"),
        ('{"test": {"iou": NaN}}', "test.iou is NaN; expected a finite number"),
        (
            f'{{"test": {{"iou": 1{"0" * 999}}}}}',
            f"test.iou is 1{'0' * 39}...; expected a finite number",
        ),
        ('{"test": {"iou": true}}', "test.iou is true; expected a finite number"),
        ('{"test": {"iou": [0.5]}}', "test.iou is [0.5]; expected a finite number"),
    ],
)
def test_a_damaged_file_or_a_missing_key_is_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    write(tmp_path, text, HEADLINE.file)
    with pytest.raises(UserError) as caught:
        measured(tmp_path, HEADLINE, "studies/x")
    assert len(caught.value.lines) == 1
    assert caught.value.lines[0].startswith(f"studies/x/results/metrics.json: {message}")
