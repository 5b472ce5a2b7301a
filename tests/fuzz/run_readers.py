"""Readers of what the pipeline keeps: parameters, caches, the ledger, networks, verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.reader import Reader

__all__ = ["RUN_READERS"]

ROOT = Path(__file__).parents[2]


def _copied(*names: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        for name in names:
            (folder / name).write_bytes((ROOT / name).read_bytes())

    return prepare


def _read_params(folder: Path) -> None:
    from geocore.config.data import DataParams
    from geocore.config.ensemble import EnsembleParams
    from geocore.config.evaluate import EvaluateParams
    from geocore.config.gate import GateParams
    from geocore.config.load import read_sections
    from geocore.config.model import ModelParams
    from geocore.config.ntk import NtkParams
    from geocore.config.project import ProjectParams
    from geocore.config.resample import ResampleParams
    from geocore.config.runtime import RuntimeParams
    from geocore.config.synthesize import SynthesizeParams
    from geocore.config.train import TrainParams

    kinds = (
        DataParams, EnsembleParams, EvaluateParams, GateParams, ModelParams, NtkParams,
        ProjectParams, ResampleParams, RuntimeParams, SynthesizeParams, TrainParams,
    )  # fmt: skip
    read_sections(folder / "params.yaml", kinds)


def _read_presets(folder: Path) -> None:
    from geocore.config.presets import overrides, read_presets

    for name in read_presets(folder):
        overrides(folder, name)


def _prepare_lock(folder: Path) -> None:
    whole = yaml.safe_load((ROOT / "dvc.lock").read_text())
    some = {name: whole["stages"][name] for name in ("fetch", "gate") if name in whole["stages"]}
    for stage in some.values():
        stage["deps"] = stage.get("deps", [])[:4]
    text = yaml.safe_dump({"schema": "2.0", "stages": some}, sort_keys=False)
    (folder / "dvc.lock").write_text(text)


def _read_lock(folder: Path) -> None:
    from geocore.pipeline.dvcfile import locked_params, locked_stages

    for name in locked_stages(folder):
        locked_params(folder, name)


def _parse_lock(folder: Path) -> None:
    from geocore.report.lockfile import parse_lock

    lock = parse_lock((folder / "dvc.lock").read_text(encoding="utf-8"), "a commit")
    lock.outs, lock.code(), lock.sources(), lock.data()


def _prepare_dvc(folder: Path) -> None:
    whole = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    some = {name: {**whole[name], "deps": whole[name]["deps"][:4]} for name in ("project", "gate")}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": some}, sort_keys=False))


def _read_dvc(folder: Path) -> None:
    from geocore.pipeline.dvcfile import read_dvc

    for stage in read_dvc(folder).values():
        stage.covering("data/raw/x")


KEY = "0123456789abcdef" * 2


def _prepare_store(folder: Path) -> None:
    from geocore.runs.store import Store

    def build(where: Path) -> dict[str, Any]:
        (where / "x").write_bytes(b"abc")
        return {"step": 1, "parts": []}

    Store(folder / "store").make(KEY, build, verb="v", parameters={"a": 1})
    manifest = folder / "store/pieces/01" / KEY / "manifest.json"
    (folder / "manifest.json").write_bytes(manifest.read_bytes())


def _put_manifest(folder: Path, *, signed: bool) -> None:
    from geocore.runs.digest import digest_json

    piece = folder / "store/pieces/01" / KEY
    piece.mkdir(parents=True, exist_ok=True)
    (piece / "x").write_bytes(b"abc")
    data = (folder / "manifest.json").read_bytes()
    if signed:
        try:
            value = json.loads(data)
            value.pop("checksum", None)
            data = json.dumps({**value, "checksum": digest_json(value)}).encode()
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass
    (piece / "manifest.json").write_bytes(data)


def _read_store(folder: Path) -> None:
    from geocore.runs.store import Store

    store = Store(folder / "store")
    store.check()
    for piece in store.pieces():
        assert piece.key == KEY
    store.find(KEY, on_damage=lambda line: None)


def _prepare_journal(folder: Path) -> None:
    from geocore.runs.parts import Parts

    with Parts(folder / "work").write("a.arrow") as path:
        path.write_bytes(b"abc")


def _read_journal(folder: Path) -> None:
    from geocore.runs.parts import Parts

    (folder / "work/parts/a.arrow").write_bytes(b"abc")
    Parts(folder / "work", on_damage=lambda line: None).done("a.arrow")


def _prepare_ledger(folder: Path) -> None:
    from geocore.runs.ledger import Ledger

    with Ledger(folder / "ledger", folder).record("train", key=KEY, pieces=[KEY]):
        pass
    (entry,) = (folder / "ledger").glob("*.json")
    about = json.loads(entry.read_bytes()) | {"state": "running"}
    del about["checksum"]  # as earlier versions wrote it: whatever it says is looked at
    entry.unlink()
    (folder / "ledger/20261122T174501-train-ab12cd.json").write_text(json.dumps(about))


def _read_ledger(folder: Path) -> None:
    from geocore.runs.garbage import collect
    from geocore.runs.ledger import Ledger

    ledger = Ledger(folder / "ledger", folder)
    ledger.runs("train", 1), ledger.pieces_in_use(1), ledger.damaged()
    for entry in ledger.runs():
        assert isinstance(entry["run"], str)
    collect(folder / "home", ledger, 1)
    ledger.show("2026")


def _prepare_network(folder: Path) -> None:
    from safetensors.torch import save_file

    from geocore.models.registry import ModelInfo, build
    from tests.models.encoders import kind, model_params

    params = model_params(depths=(1,), heads=(1,))
    model = build(params, kind(), 3, seed=0)
    save_file(model.state_dict(), folder / "weights.safetensors")
    count = sum(p.numel() for p in model.parameters())
    info = ModelInfo(params, kind(), ("a", "b", "c"), count, 255.0)
    (folder / "model.json").write_text(json.dumps(info.to_json()))


def _read_network(folder: Path) -> None:
    from geocore.models.registry import load

    load(folder / "weights.safetensors", folder / "model.json")


def _read_info(folder: Path) -> None:
    from geocore.models.registry import read_info

    read_info(folder / "model.json")


def _state() -> Any:
    import torch

    from geocore.train.state import TrainState
    from tests.train.scenes import train_params

    return TrainState.start(torch.nn.Linear(3, 2), train_params(), torch.device("cpu"))


def _prepare_checkpoint(folder: Path) -> None:
    from geocore.train.checkpoint import write_checkpoint

    write_checkpoint(folder, _state())


def _read_checkpoint(folder: Path) -> None:
    from geocore.train.checkpoint import read_checkpoint

    read_checkpoint(folder, _state())


def _prepare_chip(folder: Path) -> None:
    from safetensors.torch import save_file

    from tests.edge.networks import tiny

    model = tiny()
    save_file(model.tensors(), folder / "chip.safetensors", {"quantised": model.about()})
    (folder / "about.json").write_text(model.about())


def _read_chip(folder: Path) -> None:
    from geocore.edge.description import QuantisedModel

    QuantisedModel.read(folder / "chip.safetensors")


def _read_chip_words(folder: Path) -> None:
    from safetensors.torch import load_file

    from geocore.edge.description import QuantisedModel

    try:
        about = (folder / "about.json").read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError("no text") from None
    QuantisedModel.join(about, load_file(folder / "chip.safetensors"))


def _prepare_gates(folder: Path) -> None:
    gate = {"metric": "m", "value": 0.5, "bound": 0.4, "sense": "min", "passed": True}
    (folder / "gates.json").write_text(json.dumps({"accuracy": gate}))


def _read_gates(folder: Path) -> None:
    from geocore.pipeline.gate import _read

    _read(folder / "gates.json", "results/evaluate/gates.json")


def _prepare_spheres(folder: Path) -> None:
    from geocore.report.sphere_file import spheres_bytes
    from tests.report.spheres import segmented

    (folder / "maps.arrow").write_bytes(spheres_bytes(segmented(2, samples=1, turns=2)))


def _read_spheres(folder: Path) -> None:
    from geocore.report.sphere_file import read_spheres

    read_spheres((folder / "maps.arrow").read_bytes())


def _put_about(folder: Path) -> None:
    """The sound file with the text of ``about.json`` for what it says of all its rows."""
    import pyarrow as pa

    from geocore.report.sphere_file import spheres_bytes
    from tests.report.spheres import segmented

    content = spheres_bytes(segmented(2, samples=1, turns=2))
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    told = {b"geocore": (folder / "about.json").read_bytes()}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema.with_metadata(told)) as writer:
        writer.write_table(table)
    (folder / "maps.arrow").write_bytes(sink.getvalue())


def _prepare_about(folder: Path) -> None:
    import pyarrow as pa

    _prepare_spheres(folder)
    with pa.ipc.open_file(folder / "maps.arrow") as reader:
        (folder / "about.json").write_bytes(reader.schema.metadata[b"geocore"])


def _prepare_metrics(folder: Path) -> None:
    about = {"test": {"accuracy": 0.9, "n": 359, "ece": None}, "seconds": 1e3, "kind": "swin"}
    (folder / "metrics.json").write_text(json.dumps(about))


def _prepare_curve(folder: Path) -> None:
    text = "epoch,member,val_nll,note\n0,0,2.5,a\n1,0,1.25,b\n2,0,,\n"
    (folder / "curve.csv").write_text(text)


def _added(name: str) -> Callable[[Path], None]:
    """Take the file in as one of a run, and hand on what came of it as the ledger keeps it."""

    def read(folder: Path) -> None:
        from geocore.report.results import Results
        from geocore.report.snapshot import Snapshot
        from geocore.runs.canonical import canonical_json

        results = Results("a run")
        results.add(f"results/evaluate/{name}", (folder / name).read_bytes())
        found = Snapshot("r", "run", metrics=results.metrics, curves=results.curves)
        Snapshot.from_json("r", json.loads(canonical_json(found.to_json())))

    return read


def _prepare_snapshot(folder: Path) -> None:
    from geocore.report.snapshot import Snapshot

    gate = {"metric": "m", "value": 0.5, "bound": 0.4, "sense": "min", "passed": True}
    found = Snapshot(
        "r",
        "workspace",
        commit="a" * 40,
        about="a run",
        params={"train.lr": 0.1, "train.seed": 0, "model.depths": [2, 2]},
        metrics={"evaluate.accuracy": 0.5, "evaluate.ece": None},
        gates={"evaluate.accuracy_min": gate},
        code={"geocore/a.py": "1"},
        data={"data/own": "2"},
        sources={"data/own": "2"},
        curves={"train/curve.csv": {"epoch": [0.0, 1.0], "val_nll": [2.0, 1.0]}},
        pictures={"evaluate/a.png": b"png"},
        tables={"synthesize/ledger.csv": b"a"},
        notes=("a note",),
    )
    (folder / "snapshot.json").write_text(json.dumps(found.to_json()))


def _read_snapshot(folder: Path) -> None:
    """Read it as the ledger reads an entry, then do with it what a comparison of two does."""
    from geocore.config.foreign_json import parse_json
    from geocore.report.comparison import compare
    from geocore.report.seeds import seed_groups
    from geocore.report.snapshot import Snapshot

    value = parse_json((folder / "snapshot.json").read_bytes())
    found = Snapshot.from_json("a run", value)
    found.to_json()
    both = [found, Snapshot("other", "workspace")]
    seed_groups(both), compare(both, everything=True)


RUN_READERS: dict[str, Reader] = {
    "params": Reader(_copied("params.yaml"), "params.yaml", _read_params, "yaml"),
    "presets": Reader(
        _copied("presets.yaml", "params.yaml"), "presets.yaml", _read_presets, "yaml"
    ),
    "dvc.lock": Reader(_prepare_lock, "dvc.lock", _read_lock, "yaml"),
    "dvc.lock of a commit": Reader(_prepare_lock, "dvc.lock", _parse_lock, "yaml"),
    "dvc.yaml": Reader(_prepare_dvc, "dvc.yaml", _read_dvc, "yaml"),
    "manifest": Reader(
        _prepare_store, "manifest.json", _read_store, "json",
        after=lambda folder: _put_manifest(folder, signed=False),
    ),
    "manifest signed": Reader(
        _prepare_store, "manifest.json", _read_store, "json",
        after=lambda folder: _put_manifest(folder, signed=True),
    ),
    "journal": Reader(_prepare_journal, "work/journal/a.arrow.json", _read_journal, "json"),
    "ledger": Reader(
        _prepare_ledger, "ledger/20261122T174501-train-ab12cd.json", _read_ledger, "json"
    ),
    "weights": Reader(_prepare_network, "weights.safetensors", _read_network),
    "model.json": Reader(_prepare_network, "model.json", _read_info, "json"),
    "checkpoint": Reader(_prepare_checkpoint, "state.safetensors", _read_checkpoint),
    "checkpoint numbers": Reader(_prepare_checkpoint, "state.json", _read_checkpoint, "json"),
    "chip": Reader(_prepare_chip, "chip.safetensors", _read_chip),
    "chip words": Reader(_prepare_chip, "about.json", _read_chip_words, "json"),
    "gates": Reader(_prepare_gates, "gates.json", _read_gates, "json"),
    "spheres": Reader(_prepare_spheres, "maps.arrow", _read_spheres),
    "spheres words": Reader(
        _prepare_about, "about.json", _read_spheres, "json", after=_put_about
    ),
    "metrics of a run": Reader(
        _prepare_metrics, "metrics.json", _added("metrics.json"), "json"
    ),
    "curve of a run": Reader(_prepare_curve, "curve.csv", _added("curve.csv")),
    "snapshot": Reader(_prepare_snapshot, "snapshot.json", _read_snapshot, "json"),
}  # fmt: skip
