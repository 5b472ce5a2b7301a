"""The stage ``report`` on results by hand: what the page holds, when it is made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geocore.config.runtime import RuntimeParams
from geocore.errors import UserError
from geocore.pipeline.progress import Progress
from geocore.pipeline.report import STAGE
from geocore.pipeline.run import make, whole
from geocore.pipeline.stage import Job
from geocore.runs.digest import digest_file, digest_tree
from geocore.runs.store import Store
from tests.report.reader import Page
from tests.report.scene import png

RUNTIME = RuntimeParams(device="cpu", threads=1, workers=1, checkpoint_every=50, progress=False)
GATE = {"metric": "accuracy", "value": 0.98, "bound": 0.9, "sense": "min", "passed": True}
FILES: dict[str, str | bytes] = {
    "results/evaluate/metrics.json": json.dumps(
        {
            "test": {"accuracy": 0.98, "nll": 0.06, "ece": 0.01},
            "ensemble": {"test": {"accuracy": 0.985, "nll": 0.05, "ece": 0.008}},
            "ntk": {"test": {"accuracy": 0.95, "nll": 0.3, "ece": 0.07}},
        }
    ),
    "results/evaluate/gates.json": json.dumps({"accuracy_min": GATE}),
    "results/evaluate/pictures/confusion.png": png(1),
    "results/train/metrics.json": json.dumps({"val_nll": 0.066}),
    "results/train/curve.csv": "epoch,val_nll\n0,2.0\n1,0.066\n",
    "results/resample/mollweide.png": png(2),
}
MORE: dict[str, str | bytes] = {
    "results/ensemble/metrics.json": json.dumps({"members": {"nll": {"min": 0.06}}}),
    "results/ensemble/curves.csv": "member,epoch,val_nll\n0,0,1.5\n1,0,1.25\n",
    "results/synthesize/metrics.json": json.dumps(
        {"test": {"firmware": {"accuracy": 0.97, "nll": 0.1}, "mismatches": 0}}
    ),
    "results/synthesize/gates.json": json.dumps(
        {"firmware_mismatches_max": {**GATE, "metric": "mismatches", "passed": False}}
    ),
    "results/synthesize/layers.csv": "layer,bits\n<b>conv</b>,6\n",
}


def written(root: Path, files: dict[str, str | bytes], study: str = "") -> Job:
    """A job on those files, with their digests for its inputs."""
    for path, content in files.items():
        target = root / study / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    inputs = {}
    for name, port in STAGE.takes.items():
        there = root / study / port.path
        if there.exists():
            inputs[name] = digest_tree(there) if there.is_dir() else digest_file(there)
    return Job(
        stage=STAGE,
        root=root,
        sections={"runtime": RUNTIME},
        values={},
        inputs=inputs,
        store=Store(root / "store"),
        work=root / "work",
        key="0123456789abcdef" * 2,
        code="code",
        progress=Progress(False),
        study=study,
    )


def page_of(job: Job) -> Page:
    return Page(job.output("page").read_text(encoding="utf-8"))


def test_all_there_is_on_one_page(tmp_path: Path) -> None:
    job = written(tmp_path, {**FILES, **MORE})
    manifest = make(job)
    STAGE.write(job, manifest)
    assert (manifest["gates"], manifest["failing"]) == (2, 1)
    assert manifest["files"] == {"report.html": digest_file(job.output("page"))}
    page = page_of(job)
    assert page.faults == []
    assert not page.names() & {"script", "b", "link"}
    assert page.fetched() == set()
    text = " ".join(page.text.split())
    for words in (
        "What this pipeline measured", "1 of 2 gates fails", "firmware", "0.985 best", "0.95",
        "evaluate.accuracy_min", "2 lines", "1.25", "<b>conv</b> 6", "resample: mollweide",
        "ensemble.members", "synthesize/layers.csv",
    ):  # fmt: skip
        assert words in text, words
    assert str(tmp_path) not in page.text


def test_a_pipeline_without_the_optional_stages(tmp_path: Path) -> None:
    job = written(tmp_path, FILES)
    make(job)
    text = page_of(job).text
    assert "The gate holds" in text
    assert "firmware" not in text


def test_a_study_s_page_lies_in_its_folder_and_says_so(tmp_path: Path) -> None:
    job = written(tmp_path, FILES, study="studies/mine")
    make(job)
    assert job.output("page") == tmp_path / "studies/mine/results/report/report.html"
    assert "What studies/mine measured" in page_of(job).text


def test_equal_inputs_give_equal_bytes_and_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (written(tmp_path / name, FILES) for name in "ab")
    make(first)
    make(second)
    page = first.output("page")
    assert page.read_bytes() == second.output("page").read_bytes()
    assert whole(first)
    before = page.stat().st_mtime_ns
    make(first)
    assert page.stat().st_mtime_ns == before, "it was not written again"
    page.write_text("altered")
    assert not whole(first)
    make(first)
    assert page.read_bytes() == second.output("page").read_bytes()
    page.unlink()
    assert not whole(first)
    make(first)
    monkeypatch.setattr("geocore.pipeline.report.template_digest", lambda: "another")
    assert not whole(first)


@pytest.mark.parametrize(
    ("path", "content", "line"),
    [
        (
            "results/evaluate/metrics.json",
            "[1]",
            "report: results/evaluate/metrics.json: no JSON object; expected what a stage writes",
        ),
        (
            "results/evaluate/gates.json",
            '{"a": 1}',
            "report: results/evaluate/gates.json: a is no gate; expected passed",
        ),
        (
            "results/synthesize/layers.csv",
            "",
            "report: results/synthesize/layers.csv: no CSV; expected a table with a head",
        ),
        (
            "results/train/curve.csv",
            b"\xff",
            "report: results/train/curve.csv: no CSV; expected a table of numbers",
        ),
    ],
)
def test_a_broken_input_is_a_line_and_no_page(
    tmp_path: Path, path: str, content: str | bytes, line: str
) -> None:
    job = written(tmp_path, {**FILES, **MORE, path: content})
    with pytest.raises(UserError) as caught:
        make(job)
    assert caught.value.lines == (line,)
    assert not job.output("page").exists()


def test_a_long_table_is_cut(tmp_path: Path) -> None:
    rows = "layer,bits\n" + "".join(f"layer{n},6\n" for n in range(250))
    job = written(tmp_path, {**FILES, **MORE, "results/synthesize/layers.csv": rows})
    make(job)
    text = page_of(job).text
    assert "layer199" in text
    assert "layer200" not in text
    assert "and 50 more rows" in text
