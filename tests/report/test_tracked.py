"""Code and data by the lock, and whether the results are older than the code."""

from __future__ import annotations

import hashlib

from geocore.report.lockfile import Lock
from geocore.report.tracked import Tracked, some


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_code_is_what_stages_depend_on_by_itself_or_by_a_folder() -> None:
    lock = Lock(deps={"geocore/train": "x.dir", "flows/train.py": "y", "data/raw": "z"})
    tracked = Tracked({}, lock)
    for path in ("geocore/train/loop.py", "geocore/train/deep/x.py", "flows/train.py", "dvc.yaml"):
        assert tracked.is_code(path), path
    for path in ("geocore/trainer.py", "flows/train.pyc", "data/raw", "data/raw/x.arrow", "README"):
        assert not tracked.is_code(path), path


def test_data_is_the_rest_but_for_numbers_and_pages() -> None:
    lock = Lock(
        deps={"data/raw": "a", "geocore/x.py": "b", "results/train/w.safetensors": "c"},
        outs={"results/evaluate/metrics.json": "d", "results/report/report.html": "e"},
    )
    assert Tracked({}, lock).data() == {"data/raw": "a", "results/train/w.safetensors": "c"}


def test_results_older_than_their_code_or_parameters() -> None:
    first, second = (
        f'{{"md5": "{md5(text)}", "relpath": "{path}"}}'
        for text, path in (("1", "a.py"), ("2", "b/c.py"))
    )
    listed = f"[{first}, {second}]"
    lock = Lock(
        deps={"geocore/train": f"{md5(listed)}.dir", "flows/train.py": md5("3")},
        params={"train.lr": 0.1},
    )
    sources = {"geocore/train/a.py": b"1", "geocore/train/b/c.py": b"2", "flows/train.py": b"3"}
    assert Tracked({"train.lr": 0.1, "more": 1}, lock).notes(sources) == ()

    def told(params: dict[str, object], **changed: bytes) -> tuple[str, ...]:
        return Tracked(params, lock).notes(
            {path: changed.get(path.split("/")[-1][0], text) for path, text in sources.items()}
        )

    assert told({"train.lr": 0.1}, c=b"4") == (
        "its results are older than geocore/train: dvc repro renews them",
    )
    assert told({"train.lr": 0.2}, t=b"") == (
        "its results are older than flows/train.py, train.lr: dvc repro renews them",
    )
    assert told({}) == ("its results are older than train.lr: dvc repro renews them",)


def test_without_a_lock() -> None:
    assert Tracked({}, Lock()).notes({}) == (
        "nothing in its dvc.lock: which code and data it stands for is not known",
    )


def test_a_long_list_is_cut() -> None:
    assert some(["a"]) == "a"
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
