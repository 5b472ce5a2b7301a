"""The run ledger: an entry from the start, its end and cost, and how a killed run reads."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.runs import ledger as module
from geocore.runs.atomic import write_json
from geocore.runs.ledger import Ledger


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def entry(ledger: Ledger, name: str, stage: str, started: str, **more: Any) -> None:
    """An entry as an earlier process would have left it."""
    about = {"run": name, "stage": stage, "state": "done", "started": started, **more}
    write_json(ledger.root / f"{name}.json", about)


def test_a_run_is_there_from_the_start_and_ends_with_its_cost(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger", project=tmp_path)
    with ledger.record("train", params={"lr": 0.1}, inputs={"data": "d"}) as run:
        (running,) = ledger.runs()
        assert running["state"] == "running"
        assert running["params"] == {"lr": 0.1}
        assert running["pid"] == os.getpid()
        run.note(outs={"weights": "w"}, params={"seed": 1}, device="cuda", threads=3)
        assert ledger.show(run.id)["outs"] == {"weights": "w"}
        deadline = time.process_time() + 0.05
        while time.process_time() < deadline:
            pass
    (done,) = ledger.runs()
    assert re.fullmatch(r"\d{8}T\d{6}-train-[0-9a-f]{6}", run.id)
    assert done["run"] == run.id
    assert done["state"] == "done"
    assert done["params"] == {"lr": 0.1, "seed": 1}
    assert done["inputs"] == {"data": "d"}
    assert (done["device"], done["threads"]) == ("cuda", 3)
    assert 0.05 <= done["cpu_seconds"] <= 5
    assert 0.05 <= done["wall_seconds"] <= 20
    assert 5 < done["peak_rss_mib"] < 100_000
    assert done["started"] < done["ended"]
    assert done["environment"]["host"] == platform.node()
    assert done["code"] == {"commit": None, "dirty": None}
    assert names_in(tmp_path / "ledger") == [f"{run.id}.json"]


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [
        (ValueError("two\nlines"), "failed", "ValueError: two lines"),
        (UserError("params.yaml: no"), "failed", "params.yaml: no"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        (SystemExit(2), "failed", "SystemExit: 2"),
        (SystemExit(0), "done", None),
    ],
)
def test_how_a_block_ends(
    tmp_path: Path, error: BaseException, state: str, told: str | None
) -> None:
    ledger = Ledger(tmp_path, project=tmp_path)
    with pytest.raises(type(error)), ledger.record("gate"):
        raise error
    (found,) = ledger.runs()
    assert (found["state"], found.get("error")) == (state, told)
    assert "wall_seconds" in found


def test_on_a_full_disk_the_runs_own_error_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: Any) -> None:
        raise UserError("no space left on device while writing the ledger")

    ledger = Ledger(tmp_path, project=tmp_path)
    with pytest.raises(ValueError, match="the cause"), ledger.record("train"):
        monkeypatch.setattr(module, "write_json", full)
        raise ValueError("the cause")


_RUN = """
import sys
from pathlib import Path
from geocore.runs.ledger import Ledger
with Ledger(Path(sys.argv[1]), project=Path(sys.argv[1])).record("train") as run:
    run.note(pieces={"k1": "made"})
    print(run.id, flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_reads_as_died(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    name = process.stdout.readline().strip()
    ledger = Ledger(tmp_path)
    assert ledger.show(name)["state"] == "running"
    assert ledger.pieces_in_use(0) == {"k1"}
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert ledger.show(name)["state"] == "died"
    assert ledger.pieces_in_use(0) == set()
    assert ledger.pieces_in_use(1) == {"k1"}


def test_a_reused_process_number_does_not_revive_a_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    here = {"host": platform.node()}
    ids = {"pid": os.getpid(), "pid_ticks": -1}
    entry(ledger, "a", "train", "1", state="running", environment=here, **ids)
    entry(ledger, "b", "train", "2", state="running", environment={"host": "elsewhere"}, **ids)
    expected = "died" if sys.platform.startswith("linux") else "running"
    assert ledger.show("a")["state"] == expected
    assert ledger.show("b")["state"] == "running"


def test_notes_merge_and_the_ledgers_own_names_are_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, project=tmp_path)
    with ledger.record("ensemble", code={"digest": "c"}) as run:
        run.note(pieces={"k1": "made"}, outs={"a": {"x": 1}})
        run.note(pieces=["k2"], outs={"a": {"y": 2}, "b": 3})
        run.note(resumed_from="k0")
        with pytest.raises(ValueError, match="state: kept by the ledger itself"):
            run.note(state="done")
        with pytest.raises(ValueError, match="loss is nan"):
            run.note(loss=float("nan"))
        run.note(after=1)
    found = ledger.show(run.id)
    assert found["pieces"] == {"k1": "made", "k2": "used"}
    assert found["outs"] == {"a": {"x": 1, "y": 2}, "b": 3}
    assert found["code"] == {"digest": "c", "commit": None, "dirty": None}
    assert (found["resumed_from"], found["after"]) == ("k0", 1)
    assert "loss" not in found


def test_threads_may_note_at_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, project=tmp_path)
    with ledger.record("ensemble") as run:
        threads = [
            threading.Thread(target=run.note, kwargs={"pieces": {f"k{index}": "made"}})
            for index in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(ledger.show(run.id)["pieces"]) == 16


def test_runs_come_newest_first_by_stage_and_number(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    entry(ledger, "b", "train", "2026-11-22T10:00:00.2")
    entry(ledger, "a", "train", "2026-11-22T10:00:00.5")  # the same second, another token
    entry(ledger, "c", "evaluate", "2026-11-22T10:00:00.3")
    assert [found["run"] for found in ledger.runs()] == ["a", "c", "b"]
    assert [found["run"] for found in ledger.runs("train")] == ["a", "b"]
    assert [found["run"] for found in ledger.runs(last=2)] == ["a", "c"]
    assert ledger.runs("train", last=0) == []


def test_pieces_in_use_are_those_of_the_last_runs_of_each_stage(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in range(4):
        stage = "train" if number else "ntk"
        state = "failed" if number == 2 else "done"
        keys = {f"k{number}": "made", "shared": "found"}
        entry(ledger, f"r{number}", stage, str(number), state=state, pieces=keys)
    entry(ledger, "r9", "train", "9")  # a run without pieces counts as one of the last
    assert ledger.pieces_in_use(0) == set()
    assert ledger.pieces_in_use(1) == {"k0", "shared"}
    assert ledger.pieces_in_use(2) == {"k0", "k3", "shared"}
    assert ledger.pieces_in_use(3) == {"k0", "k1", "k2", "k3", "shared"}


def test_each_study_has_last_runs_of_its_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number, study in enumerate(["studies/mine", "", "", ""]):
        keys = {f"k{number}": "made"}
        entry(ledger, f"r{number}", "train", str(number), state="done", pieces=keys, study=study)
    assert ledger.pieces_in_use(1) == {"k0", "k3"}


def test_mistakes_do_not_push_the_good_run_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    gone = {"environment": {"host": platform.node()}, "pid": os.getpid(), "pid_ticks": -1}
    elsewhere = {"environment": {"host": "elsewhere"}, "pid": 1, "pid_ticks": 1}
    entry(ledger, "r0", "train", "0", state="running", pieces={"runs": "made"}, **elsewhere)
    entry(ledger, "r1", "train", "1", state="failed", pieces={"old mistake": "made"})
    entry(ledger, "r2", "train", "2", pieces={"good": "made"})
    entry(ledger, "r3", "train", "3", state="running", pieces={"died": "made"}, **gone)
    for number in range(4, 9):
        entry(ledger, f"r{number}", "train", str(number), state="failed", pieces={"new": "made"})
    assert ledger.pieces_in_use(1) == {"runs", "good", "died", "new"}
    assert ledger.pieces_in_use(0) == {"runs"}


def test_show_takes_a_prefix_and_names_the_nearest(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(UserError, match="the ledger is empty"):
        ledger.show("x")
    for name in ("20261122T100000-train-aaaaaa", "20261122T110000-train-bbbbbb"):
        entry(ledger, name, "train", name)
    assert ledger.show("20261122T11")["run"] == "20261122T110000-train-bbbbbb"
    with pytest.raises(UserError) as caught:
        ledger.show("20261122T")
    assert str(caught.value) == (
        "run '20261122T' is not unique; it may be 20261122T100000-train-aaaaaa, "
        "20261122T110000-train-bbbbbb"
    )
    with pytest.raises(UserError) as caught:
        ledger.show("20261122T110000-train-bbbbbc")
    assert str(caught.value).startswith(
        f"no run '20261122T110000-train-bbbbbc' in {tmp_path}; "
        "the nearest is 20261122T110000-train-bbbbbb"
    )


_MISTYPED = [
    json.dumps({"run": "x", "stage": "train", "state": "done", "started": "1", **wrong})
    for wrong in (
        {"wall_seconds": "long"},
        {"wall_seconds": True},
        {"pieces": ["k"]},
        {"code": "c"},
        {"params": None},
        {"key": 1},
        {"state": "running", "environment": {"host": platform.node()}, "pid": 2**80},
    )
]


def test_no_flipped_bit_of_an_entry_is_believed(tmp_path: Path) -> None:
    """Of the pieces that a run names above all: what an entry does not name, gc removes."""
    ledger = Ledger(tmp_path, project=tmp_path)
    with ledger.record("train", pieces={"a" * 32: "made"}, params={"lr": 0.1}) as run:
        pass
    path, said = tmp_path / f"{run.id}.json", ledger.show(run.id)
    content = path.read_bytes()
    assert b"checksum" in content and "checksum" not in said
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 3)
        path.write_bytes(damaged)
        if not ledger.damaged():  # the word "checksum", or a space
            assert said.items() <= ledger.show(run.id).items()
    for other in (b"3", b'"x"', b"[]", b"null"):
        path.write_bytes(other)
        assert len(ledger.damaged()) == 1
    path.write_text(json.dumps(said))  # as earlier versions wrote it
    assert ledger.runs() == [said]


@pytest.mark.parametrize("text", ["", '{"run": "x"', "[]", '{"run": 1}', "\xff", *_MISTYPED])
def test_a_damaged_entry_is_skipped_and_named(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(tmp_path)
    entry(ledger, "whole", "train", "1", pieces={"k": "made"}, wall_seconds=1, key="k", params={})
    (tmp_path / "broken.json").write_bytes(text.encode("latin-1"))
    line = f"{tmp_path / 'broken.json'}: not a ledger entry; it is skipped"
    with caplog.at_level(logging.WARNING):
        assert [found["run"] for found in ledger.runs()] == ["whole"]
    assert [record.getMessage() for record in caplog.records] == [line]
    assert ledger.damaged() == [line]
    assert ledger.pieces_in_use(1) == {"k"}
    with pytest.raises(UserError, match=r"broken\.json: not a ledger entry"):
        ledger.show("broken")


def test_a_stage_is_a_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, project=tmp_path)
    with ledger.record("train@mnist-16"):
        pass
    with pytest.raises(ValueError, match=r"stage is '\.\./x'"), ledger.record("../x"):
        pass


def test_an_entry_is_plain_json(tmp_path: Path) -> None:
    with Ledger(tmp_path, project=tmp_path).record("train") as run:
        pass
    assert json.loads((tmp_path / f"{run.id}.json").read_text())["stage"] == "train"


def test_runs_come_in_their_order_also_when_the_clock_was_set_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, project=tmp_path)
    entry(ledger, "20991231T235959-train-000000", "train", "2099-12-31T23:59:59+00:00")
    names = []
    for _ in range(2):
        with ledger.record("train") as run:
            names.append(run.id)
    assert names[0].startswith("21000101T000000-train-")
    assert names[1].startswith("21000101T000001-train-")
    newest = [found["run"] for found in ledger.runs()]
    assert newest == [*reversed(names), "20991231T235959-train-000000"]
    assert ledger.runs()[0]["started"] < "2099", "the time itself is what the clock said"
    assert [found["run"] for found in ledger.kept(1)] == names[1:]
