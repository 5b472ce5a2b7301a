"""``geocore compare``: what it says, in which form, with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.reader import Page
from tests.report.scene import GATES, METRICS, PARAMS, Project

ROOT = Path(__file__).parents[2]
SCRIPT = "<script>alert(1)</script>"
MARKUP = "[red]b[/red]"
CODE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from geocore.cli.app import main; main()"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two branches: they differ in a number of each kind."""
    root = tmp_path_factory.mktemp("compare")
    project = Project(root)
    project.commit("first")
    project.git("checkout", "--quiet", "-b", SCRIPT)
    project.write_params({**PARAMS, "train": {**PARAMS["train"], "lr": 0.004, "note": MARKUP}})
    project.write_metrics({"test": {**METRICS["test"], "accuracy": 0.8, "nll": 0.1}})
    gate = {**GATES["accuracy_min"], "value": 0.8, "passed": False}
    project.write_gates({"accuracy_min": gate})
    project.write("geocore/train/loop.py", "RATE = 2\n")
    project.commit("second \x1b[2J [bold]words[/bold]")
    project.git("checkout", "--quiet", "main")
    project.entry("20261122T200120-repro-aaaaaa", "repro")
    return root


def geocore(
    root: Path, *arguments: str, code: str = CODE, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(ROOT), "compare", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=root, capture_output=True, text=True, env=env)


def test_tables_of_what_differs(root: Path) -> None:
    done = geocore(root, "main", SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for row in (
        f"main {SCRIPT}",
        "train.lr 0.002 0.004",
        f"train.note null {MARKUP}",
        "evaluate.test.accuracy 0.95 0.8 -0.15 worse",
        "evaluate.test.nll 0.2 0.1 -0.1 better",
        "evaluate.accuracy_min at least 0.9 0.95 holds 0.8 fails",
        "Equal: 2 parameters, 2 metrics, 0 gates, 4 files of code, 3 files of data.",
    ):
        assert row in rows, row
    assert "train.epochs" not in done.stdout
    assert "second \\x1b[2J [bold]words[/bold]" in done.stdout
    assert "\x1b" not in done.stdout
    assert "train.epochs" in geocore(root, "main", SCRIPT, "--all").stdout


def test_each_bound_stands_with_whose_it_is(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write_gates({"accuracy_min": {**GATES["accuracy_min"], "bound": 0.94}})
    project.commit("strict")
    project.write_gates({"accuracy_min": {**GATES["accuracy_min"], "bound": 0.5}})
    project.commit("loose")
    for pair, row in (
        (("HEAD", "HEAD~1"), "0.95 holds, at least 0.5 0.95 holds, at least 0.94"),
        (("HEAD~1", "HEAD"), "0.95 holds, at least 0.94 0.95 holds, at least 0.5"),
    ):
        rows = [" ".join(line.split()) for line in geocore(tmp_path, *pair).stdout.splitlines()]
        assert f"evaluate.accuracy_min {row}" in rows


def test_code_that_differs_from_the_commit_is_marked(tmp_path: Path) -> None:
    project = Project(tmp_path)
    commit = project.commit("first")
    project.write("geocore/train/loop.py", "RATE = 3\n")
    page = tmp_path / "page.html"
    done = geocore(tmp_path, "HEAD", "-o", str(page))
    assert f" {commit[:12]}+ " in done.stdout
    assert f">{commit[:12]}+<" in page.read_text(encoding="utf-8")
    told = json.loads(geocore(tmp_path, "HEAD", "--json").stdout)["snapshots"]
    assert [(s["commit"], s["dirty"]) for s in told] == [(commit, False), (commit, True)]


def test_the_page_alone_on_standard_output(root: Path, tmp_path: Path) -> None:
    # As /dev/stdout is one: a fault must not cost the machine its own.
    link = tmp_path / "stdout"
    link.symlink_to("/proc/self/fd/1")
    done = geocore(root, "main", SCRIPT, "-o", str(link))
    assert link.is_symlink()
    assert done.returncode == 0
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert done.stdout.endswith("</html>\n")
    refused = geocore(root, "nothing", "--json", "-o", str(link))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: -o {link}: standard output, where --json writes")


def test_colours_for_who_looks_on(root: Path) -> None:
    done = geocore(root, "main", SCRIPT, FORCE_COLOR="1", COLUMNS="200")
    assert "\x1b[31m" in done.stdout, "worse is red"
    assert "\x1b[32m" in done.stdout, "better is green"
    assert "\x1b[2J" not in done.stdout
    assert MARKUP in done.stdout


def test_one_json_document(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    done = geocore(root, "main", SCRIPT, "--json", "-o", str(page))
    value = json.loads(done.stdout)
    assert [s["name"] for s in value["snapshots"]] == value["names"] == ["main", SCRIPT]
    assert [s["kind"] for s in value["snapshots"]] == ["revision", "revision"]
    assert [row["name"] for row in value["params"]] == ["train.lr", "train.note"]
    assert value["gates"][0]["values"][1]["passed"] is False
    assert done.stderr.startswith(f"wrote {page}, ")
    assert page.is_file()


def test_the_page_is_written_and_holds_names_as_text(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = geocore(root, "main", SCRIPT, "-o", str(page))
    assert done.returncode == 0
    read = Page(page.read_text(encoding="utf-8"))
    assert read.faults == []
    assert not any("alert" in text and "script" in text[:40] for text in read.programs())
    assert read.fetched() == set()
    assert f"main against {SCRIPT}" in read.text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_folder_gets_an_index(root: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for given in (f"{tmp_path}/there", f"{tmp_path}/new/"):
        done = geocore(root, "main", SCRIPT, "-o", given)
        page = Path(given) / "index.html"
        assert done.stderr.startswith(f"wrote {page}, ")
        assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_page_holds_what_is_equal_too(root: Path, tmp_path: Path) -> None:
    geocore(root, "main", SCRIPT, "-o", str(tmp_path / "page.html"))
    assert "train.epochs" in Page((tmp_path / "page.html").read_text(encoding="utf-8")).text


def test_one_name_is_held_against_the_workspace(root: Path) -> None:
    for arguments in ([], ["HEAD"], ["workspace"]):
        value = json.loads(geocore(root, *arguments, "--json").stdout)
        assert value["names"] == ["HEAD", "workspace"]
    done = geocore(root, "main")
    assert "No difference. Equal: 4 parameters" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["mian"], "'mian' is no git revision, experiment or run; did you mean main?"),
        (
            ["main", "--", "--output=x"],
            "'--output=x' is no git revision, experiment or run; "
            "expected workspace, a branch, tag or commit, an experiment, or a run of geocore runs",
        ),
        (
            ["main", "--serve", "--json"],
            "--serve: shows the page itself; expected no -o and no --json beside it",
        ),
        (
            ["nothing", "-o", "dvc.yaml/x.html"],
            "-o dvc.yaml/x.html: not a directory; "
            "expected a file that can be written, as in compare.html",
        ),
    ],
)
def test_a_mistake_is_a_line(root: Path, arguments: list[str], line: str) -> None:
    done = geocore(root, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")


def test_outside_a_project(tmp_path: Path) -> None:
    done = geocore(tmp_path, "main")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no dvc.yaml here or above")


def test_it_starts_without_what_is_heavy(root: Path) -> None:
    heavy = ("torch", "numpy", "pyarrow", "dvc", "prefect", "jinja2")
    code = CODE.replace("main()", "") + (
        "import sys\ntry: main()\nfinally: "
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = geocore(root, "main", SCRIPT, code=code)
    assert done.returncode == 0
    assert done.stderr == "[]\n"


def test_without_jinja2_the_page_is_refused_and_nothing_else(root: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['jinja2'] = None; " + CODE.removeprefix("import sys; ")
    done = geocore(root, "main", SCRIPT, "-o", str(tmp_path / "x.html"), code=code)
    assert done.returncode == 2
    assert done.stderr == (
        "error: jinja2 is not installed, and a page needs it: pip install 'geocore[report]'\n"
    )
    assert list(tmp_path.iterdir()) == []
    assert geocore(root, "main", SCRIPT, code=code).returncode == 0


def test_help_gives_an_example(root: Path) -> None:
    done = geocore(root, "--help")
    assert "Example: geocore compare" in done.stdout
