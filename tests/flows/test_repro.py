"""The pipeline as its user runs it: once, again, after a change, after a damage."""

from __future__ import annotations

import json
import re
import time

from tests.flows.project import Project

STAGES = [
    "fetch", "project", "resample", "train", "alignment", "spheres", "ensemble", "ntk",
    "synthesize", "evaluate", "report", "gate",
]  # fmt: skip


def changed_stages(project: Project) -> set[str]:
    """Stages that ``dvc status`` lists."""
    done = project.run("dvc", "status", "--json")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_every_stage_ran_and_left_its_outputs(project: Project) -> None:
    metrics = project.json("results/evaluate/metrics.json")
    assert 0 <= metrics["test"]["accuracy"] <= 1
    for stage in STAGES:
        assert project.runs(stage)[0]["state"] == "done"
    for picture in ("mollweide.png", "orthographic.png"):
        assert (project.root / "results/resample" / picture).read_bytes()[:4] == b"\x89PNG"


def test_a_second_repro_does_nothing_within_ten_seconds(project: Project) -> None:
    before = len(project.runs("train"))
    started = time.monotonic()
    done = project.repro()
    assert done.returncode == 0
    assert time.monotonic() - started < 10
    assert "Data and pipelines are up to date." in done.stdout
    assert len(project.runs("train")) == before


def test_a_statement_reruns_only_what_imports_it(project: Project) -> None:
    camera = project.root / "geocore/camera/rotated.py"
    loop = project.root / "geocore/train/loop.py"
    text = {path: path.read_text() for path in (camera, loop)}
    try:
        camera.write_text(text[camera] + "\n_UNUSED = 1\n")
        assert changed_stages(project) == {"resample"}
        camera.write_text(text[camera])
        loop.write_text(text[loop] + "\n_UNUSED = 1\n")
        assert "train" in changed_stages(project)
        assert not changed_stages(project) & {"fetch", "project", "resample"}
        told = project.geocore("why", "train").stdout
        assert re.search(r"code +geocore/train/loop.py +a statement changed", told), told
        loop.write_text("# a comment\n" + text[loop])
        told = project.geocore("why", "train").stdout
        assert "cached pieces will be found again" in told, told
    finally:
        for path, before in text.items():
            path.write_text(before)
    assert changed_stages(project) == set()
    assert "up to date" in project.geocore("why", "train").stdout


def test_a_parameter_reruns_what_depends_on_it(project: Project) -> None:
    runs = {stage: len(project.runs(stage)) for stage in STAGES}
    done = project.run("dvc", "exp", "run", "-S", "evaluate.rotations=2")
    assert done.returncode == 0, done.stdout + done.stderr
    grown = {stage for stage in STAGES if len(project.runs(stage)) > runs[stage]}
    # The gates' figures did not change, but the page did.
    assert grown == {"evaluate", "report", "gate"}
    assert project.runs("evaluate")[0]["params"]["evaluate.rotations"] == 2


def test_a_flipped_bit_in_a_piece_is_found_and_made_again(project: Project) -> None:
    key = project.runs("train")[0]["key"]
    weights = project.root / ".geocore/store/pieces" / key[:2] / key / "weights.safetensors"
    output = project.root / "results/train/weights.safetensors"
    whole = output.read_bytes()
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    weights.write_bytes(damaged)
    found = project.geocore("store", "check")
    assert found.returncode == 1
    assert key in found.stdout
    done = project.repro("-f", "-s", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert key in done.stderr + done.stdout
    assert project.runs("train")[0]["pieces"][key] == "made"
    assert output.read_bytes() == whole
    assert project.geocore("store", "check").returncode == 0


def test_a_whole_piece_is_found_and_not_made_again(project: Project) -> None:
    done = project.repro("-f", "-s", "train")
    assert done.returncode == 0, done.stdout + done.stderr
    newest = project.runs("train")[0]
    assert newest["key"] == project.runs("train")[1]["key"]
    key = newest["key"]
    assert newest["pieces"] == {key: "found"}
    assert project.geocore("store", "gc", "--last", "1").returncode == 0
    kept = [piece["key"] for piece in json.loads(project.geocore("store", "list", "--json").stdout)]
    assert key in kept


def test_a_mistake_is_one_line_and_keeps_what_was_there(project: Project) -> None:
    before = (project.root / "results/train/metrics.json").read_bytes()
    kept = project.root / "params.yaml"
    text = kept.read_text()
    try:
        project.set(train__lr="fast")
        done = project.run("flows.train")
        assert done.returncode == 2
        assert done.stderr == (
            'error: params.yaml: train.lr is "fast"; expected a number above 0 and at most 10\n'
        )
        assert done.stdout == ""
        kept.write_text(text.replace("lr:", "learning_rate:"))
        assert "train.learning_rate is an unknown key" in project.run("flows.train").stderr
    finally:
        kept.write_text(text)
    assert (project.root / "results/train/metrics.json").read_bytes() == before


def test_cuda_where_there_is_none_is_refused_by_name(project: Project) -> None:
    import torch

    if torch.cuda.is_available():
        return
    text = (project.root / "params.yaml").read_text()
    try:
        project.set(runtime__device="cuda")
        done = project.run("flows.train")
        assert done.returncode == 2
        assert done.stderr.startswith("error: runtime.device is cuda; this machine has no CUDA")
        assert len(done.stderr.splitlines()) == 1
    finally:
        (project.root / "params.yaml").write_text(text)


def test_a_failed_gate_names_metric_and_figures(project: Project) -> None:
    project.set(gate__accuracy_min=1.0, gate__nll_max=1e-9)
    done = project.repro()
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: gate")]
    assert len(lines) == 2
    assert "expected at least 1" in lines[0]
    assert "gate.nll_max" in lines[1]
    assert "Traceback" not in done.stderr
    assert project.json("results/evaluate/metrics.json")["test"]["n"] > 0
    project.set(gate__accuracy_min=None, gate__nll_max=None)
    assert project.repro().returncode == 0


def test_two_at_once_end_well_or_say_who_holds_the_lock(project: Project) -> None:
    project.set(train__seed=5)
    both = [project.start("dvc", "repro", "train") for _ in range(2)]
    told = [process.communicate(timeout=240)[0] for process in both]
    for process, text in zip(both, told, strict=True):
        assert process.returncode == 0 or "is busy" in text or "Unable to acquire lock" in text, (
            text
        )
    assert any(process.returncode == 0 for process in both)
    assert project.repro("train").returncode == 0
