"""A colleague's clone gets results without computing them: from a folder, and over S3."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("dvc_s3")
pytest.importorskip("moto.server")

from tests.flows.project import Project, copy_project, user_environment

BUCKET = "results"
NO_ACCOUNT = str(Path(__file__).with_name("no_account.ini"))
# Two stages that say, in a file that nobody tracks, that they ran.
SMALL = """\
stages:
  double:
    cmd: python double.py
    deps: [double.py]
    params: [factor]
    outs: [out]
  total:
    cmd: python total.py
    deps: [total.py, out]
    metrics:
      - metrics.json: {cache: false}
"""
DOUBLE = """\
import pathlib
factor = int(pathlib.Path("params.yaml").read_text().split(":")[1])
pathlib.Path("out").mkdir()
for place in range(3):
    pathlib.Path(f"out/{place}.bin").write_bytes(bytes([place * factor]) * 1000)
with open("ran.log", "a") as log:
    log.write("double\\n")
"""
TOTAL = """\
import json, pathlib
total = sum(path.read_bytes()[0] for path in pathlib.Path("out").iterdir())
pathlib.Path("metrics.json").write_text(json.dumps({"sum": total}))
with open("ran.log", "a") as log:
    log.write("total\\n")
"""


@dataclass(frozen=True)
class Remote:
    """Where results are pushed to: DVC's settings of it, which hold no secret, and the secret."""

    url: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]

    def add_to(self, project: Project) -> None:
        """What somebody does once, and commits."""
        must(project, "dvc", "remote", "add", "--default", "lab", self.url)
        for key, value in self.settings.items():
            must(project, "dvc", "remote", "modify", "lab", key, value)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server that speaks S3, on 127.0.0.1 alone, with an empty bucket."""
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    assert host == "127.0.0.1"
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="mine",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket=BUCKET)
    yield f"http://{host}:{port}"
    started.stop()


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "folder":
        return Remote(str(tmp_path / "shared"), {}, {})
    return Remote(
        f"s3://{BUCKET}/{tmp_path.name}",
        {"endpointurl": request.getfixturevalue("server"), "region": "us-east-1"},
        {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "secret"},
    )


def environment(remote: Remote) -> dict[str, str]:
    """A user's, without any other account's, and with no look-up of one."""
    kept = {name: v for name, v in user_environment().items() if not name.startswith("AWS_")}
    none = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), NO_ACCOUNT)
    return {**kept, **none, "AWS_EC2_METADATA_DISABLED": "true", **remote.secrets}


def must(project: Project, *command: str) -> str:
    done = project.run(*command, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def git(project: Project, *command: str) -> None:
    subprocess.run(
        ["git", *command], cwd=project.root, env=project.environment, check=True,
        capture_output=True,
    )  # fmt: skip


def begun(root: Path, remote: Remote) -> Project:
    """A repository of one small stage."""
    root.mkdir()
    project = Project(root, environment(remote))
    for name, text in (("dvc.yaml", SMALL), ("double.py", DOUBLE), ("total.py", TOTAL)):
        (root / name).write_text(text)
    (root / "params.yaml").write_text("factor: 2\n")
    (root / ".gitignore").write_text("/ran.log\n")
    git(project, "init", "-q")
    git(project, "config", "user.email", "test@example.org")
    git(project, "config", "user.name", "test")
    must(project, "dvc", "init", "-q")
    return project


def cloned(project: Project, target: Path) -> Project:
    """What a colleague has: everything committed, and nothing else."""
    git(project, "add", "-A")
    git(project, "commit", "-qm", "results")
    subprocess.run(
        ["git", "clone", "-q", str(project.root), str(target)], check=True, capture_output=True
    )
    assert not (target / ".dvc/cache").exists()
    return Project(target, project.environment)


@pytest.mark.slow  # some twenty commands of DVC
def test_a_clone_gets_results_without_computing(tmp_path: Path, remote: Remote) -> None:
    mine = begun(tmp_path / "mine", remote)
    remote.add_to(mine)
    for factor in (2, 3):  # a run that is to be found again is pushed while its outputs lie there
        (mine.root / "params.yaml").write_text(f"factor: {factor}\n")
        must(mine, "dvc", "repro", "-q")
        must(mine, "dvc", "push", "--run-cache")
    assert "secret" not in (mine.root / ".dvc/config").read_text()
    theirs = cloned(mine, tmp_path / "theirs")
    must(theirs, "dvc", "pull", "--run-cache")
    told = must(theirs, "dvc", "repro")
    assert "up to date" in told and not (theirs.root / "ran.log").exists()
    for place in range(3):
        name = f"out/{place}.bin"
        assert (theirs.root / name).read_bytes() == (mine.root / name).read_bytes()

    # What is in no commit, the run cache knows: the run with the other factor. But not metrics,
    # which lie in git and nowhere else: a stage that has some runs again.
    (theirs.root / "params.yaml").write_text("factor: 2\n")
    told = must(theirs, "dvc", "repro", "--pull")
    assert (theirs.root / "ran.log").read_text() == "total\n", told
    assert theirs.json("metrics.json") == {"sum": 6}
    assert (theirs.root / "out/2.bin").read_bytes() == bytes([4]) * 1000


def test_a_server_that_is_gone_is_told_and_what_lies_here_stays(tmp_path: Path) -> None:
    gone = Remote("s3://results/none", {"endpointurl": "http://127.0.0.1:9"}, {})
    mine = begun(tmp_path / "mine", gone)
    gone.add_to(mine)
    must(mine, "dvc", "repro", "-q")
    done = mine.run("dvc", "push")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert len(list((mine.root / "out").iterdir())) == 3


@pytest.mark.slow  # three stages with a server of Prefect's, twice a clone
def test_the_pipeline_of_a_clone_does_nothing(tmp_path: Path, remote: Remote) -> None:
    mine = copy_project(tmp_path / "mine", environment(remote))
    (mine.root / "data/own/README.md").write_text("Own images go here.\n")  # git keeps no folder
    remote.add_to(mine)
    must(mine, "dvc", "repro", "resample")
    must(mine, "dvc", "push", "--run-cache")
    theirs = cloned(mine, tmp_path / "theirs")
    must(theirs, "dvc", "pull", "-q", "--with-deps", "resample")
    told = must(theirs, "dvc", "repro", "resample")
    assert "up to date" in told and not (theirs.root / ".geocore").exists()
    parts = sorted(path.name for path in (mine.root / "data/healpix").iterdir())
    assert parts and parts == sorted(p.name for p in (theirs.root / "data/healpix").iterdir())
    code = (
        "from geocore.data.table import Table; from pathlib import Path; "
        "print(len(Table.open(Path('data/healpix'), verify=True)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=theirs.root, env=theirs.environment, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) > 0
