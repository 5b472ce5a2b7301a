"""Code and data by the lock, and whether the results are older than the code."""

from __future__ import annotations

import hashlib

from geocore.report.lockfile import Lock, Locked
from geocore.report.tracked import Tracked, some


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def lock_of(*stages: Locked, **params: object) -> Tracked:
    return Tracked(params, Lock({str(place): stage for place, stage in enumerate(stages)}))


def test_code_is_what_stages_depend_on_by_itself_or_by_a_folder() -> None:
    deps = {"geocore/train": "x.dir", "flows/train.py": "y", "data/raw": "z"}
    code = ("geocore/train/loop.py", "geocore/train/deep/x.py", "flows/train.py", "dvc.yaml")
    other = ("geocore/trainer.py", "flows/train.pyc")
    neither = ("data/raw", "data/raw/x.arrow", "README", "geocore.txt")
    parted = lock_of(Locked(deps)).parted(dict.fromkeys((*code, *other, *neither), "1"))
    assert parted == (dict.fromkeys(code, "1"), dict.fromkeys(other, "1"))


def test_data_is_the_rest_but_for_numbers_and_pages() -> None:
    stage = Locked(
        deps={"data/raw": "a", "geocore/x.py": "b", "results/train/w.safetensors": "c"},
        outs={"results/evaluate/metrics.json": "d", "results/report/report.html": "e"},
    )
    assert lock_of(stage).data() == {"data/raw": "a", "results/train/w.safetensors": "c"}


def test_results_older_than_their_code_or_parameters() -> None:
    first, second = (
        f'{{"md5": "{md5(text)}", "relpath": "{path}"}}'
        for text, path in (("1", "a.py"), ("2", "b/c.py"))
    )
    listed = f"[{first}, {second}]"
    stage = Locked(
        deps={"geocore/train": f"{md5(listed)}.dir", "flows/train.py": md5("3")},
        params={"train.lr": 0.1},
    )
    lock = Lock({"train": stage})
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


def test_no_stage_hides_behind_another() -> None:
    """The last of the lock had everything new; an earlier one had not."""
    new, old = md5("new"), md5("old")
    code = {"flows/a.py": b"new"}
    fresh = Locked({"flows/a.py": new, "data/own": new, "results/w": new}, {}, {"lr": 2})
    maker = Locked({}, {"results/w": new})
    assert lock_of(maker, fresh, lr=2).notes(code, {"data/own": new}) == ()
    for stale, told in (
        (Locked(params={"lr": 1}), "lr"),
        (Locked({"flows/a.py": old}), "flows/a.py"),
        (Locked({"data/own": old}), "data/own"),
        (Locked({"results/w": old}), "results/w"),
    ):
        for stages in ((maker, stale, fresh), (fresh, stale, maker)):
            assert lock_of(*stages, lr=2).notes(code, {"data/own": new}) == (
                f"its results are older than {told}: dvc repro renews them",
            )


def test_sources_are_what_no_stage_makes() -> None:
    reads = Locked({"data/own": "1", "flows/a.py": "2", "results/x": "3", "results/d/in.csv": "4"})
    makes = Locked({}, {"results/x": "3", "results/d": "5.dir"})
    assert lock_of(reads, makes).lock.sources() == {"data/own"}


def test_without_a_lock() -> None:
    assert Tracked({}, Lock()).notes({}) == (
        "nothing in its dvc.lock: which code and data it stands for is not known",
    )


def test_a_long_list_is_cut() -> None:
    assert some(["a"]) == "a"
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
