"""Models of tables: laws that are found again, the published table where it is there."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from geocore.edge.hls_estimate import COLUMNS, HlsDesign, HlsModel, fit_table, published
from geocore.errors import UserError

GIVEN = os.environ.get("GEOCORE_DATA")
TABLE = Path(GIVEN or ".") / "zcu102" / "enet_runs.csv"
Law = Callable[[int, int, int, int], float]


def in_tables(f: int, r: int, w: int, a: int) -> float:
    """Products of up to 16 bits are tables, wider ones DSP slices."""
    return 5 + 2 * f + 0.3 * f * a + (0.05 * f * f * a * w / r if a + w <= 16 else 0)


def in_slices(f: int, r: int, w: int, a: int) -> float:
    return 7 * f * f / r if a + w > 16 else 0


def write(path: Path, laws: Mapping[str, Law], failed: int = 0) -> Path:
    names = ["filters", "clock_ns", "reuse_factor", "weight_bits", "default_precision", *laws]
    rows = []
    for f in (4, 8, 16):
        for r in (2, 9, 36):
            for w, a in ((4, 8), (8, 8), (4, 16), (8, 16)):
                found = [f"{law(f, r, w, a):.6f}" for law in laws.values()]
                rows.append([str(f), "5", str(r), str(w), f"{a},4", *found])
    for row in rows[:failed]:
        row[5:] = [""] * len(laws)
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([names, *rows])
    return path


def test_a_law_is_found_again(tmp_path: Path) -> None:
    """Its coefficients, and the width beyond which products take slices."""
    laws: dict[str, Law] = {"lut_percent": in_tables, "dsp_percent": in_slices}
    model = fit_table(write(tmp_path / "t.csv", laws, failed=3))
    assert model.width == 16 and model.narrow == 8
    assert model.coefficients["lut_percent"] == pytest.approx(
        {"1": 5, "F": 2, "F A": 0.3, "F^2 A W / R": 0.05}, rel=1e-4
    )
    assert model.coefficients["dsp_percent"]["F^2 / R in DSP"] == pytest.approx(7, rel=1e-4)
    assert model.errors["lut_percent"].rows == 33
    for error in model.errors.values():
        assert max(error.left_one, error.left_cell, error.left_filters) < 1e-3
    design = HlsDesign(10, 5, 20, 6, 10)  # between those of the table
    wanted = in_tables(10, 20, 6, 10)
    assert model.predict(design)["lut_percent"] == pytest.approx(wanted, rel=1e-3)


def test_the_error_is_that_of_rows_left_out(tmp_path: Path) -> None:
    """One row of 36 is wrong by half: the rest is not told to be as wrong as it, nor as exact."""

    def spoilt(f: int, r: int, w: int, a: int) -> float:
        return in_tables(f, r, w, a) * (1.5 if (f, r, w, a) == (8, 9, 4, 16) else 1)

    error = fit_table(write(tmp_path / "t.csv", {"lut_percent": spoilt})).errors["lut_percent"]
    assert error.largest == pytest.approx(0.5 / 1.5, rel=0.1)
    assert 0.3 / 36 < error.left_one < 0.1
    assert error.left_cell >= 0.8 * error.left_one


def test_what_the_table_does_not_cover_is_refused(tmp_path: Path) -> None:
    model = fit_table(write(tmp_path / "t.csv", {"lut_percent": in_tables}))
    with pytest.raises(UserError, match="filters is 32; expected 4 to 16, which the table covers"):
        model.predict(HlsDesign(32, 5, 2, 4, 8))
    with pytest.raises(UserError, match="reuse_factor is 1; expected 2 to 36"):
        model.predict(HlsDesign(4, 5, 1, 4, 8))
    with pytest.raises(ValueError, match="weight_bits is 0; expected a number above 0"):
        HlsDesign(4, 5, 2, 0, 8)


def test_what_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(UserError, match=r"t.csv: is not there; expected a table of hls4ml"):
        fit_table(path)
    text = write(path, {"lut_percent": in_tables}).read_text()
    for old, new, told in (
        ("weight_bits", "bits", "has no column weight_bits; expected filters, clock_ns"),
        ("lut_percent", "luts", "has no column lut_percent"),
        ("4,5,2", "four,5,2", "line 2: invalid literal for int.* 'four'; expected numbers"),
        ("4,5,2", "0,5,2", "line 2: filters is 0; expected a number above 0; expected numbers"),
    ):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(UserError, match=told):
            fit_table(path)
    path.write_text("\n".join(text.splitlines()[:6]))
    with pytest.raises(UserError, match="lut_percent has 5 figures; expected 8 or more"):
        fit_table(path)


def test_what_is_shipped_says_what_the_paper_measured() -> None:
    """Runs of arXiv:2205.07690 on a ZCU102, as published: percents of LUTs and of DSP slices."""
    model = published()
    assert model.coefficients.keys() == COLUMNS.keys() == model.errors.keys()
    for design, lut, dsp in (
        (HlsDesign(4, 5, 10, 4, 8), 27, 0),
        (HlsDesign(8, 5, 10, 8, 16), 48, 74),
        (HlsDesign(8, 7, 20, 4, 16), 63, 14),
    ):
        found = model.predict(design)
        assert found["lut_percent"] == pytest.approx(lut, rel=0.08)
        assert found["dsp_percent"] == pytest.approx(dsp, rel=0.15, abs=0.5)
    assert model.errors["lut_percent"].left_cell <= 0.12


@pytest.mark.skipif(not TABLE.is_file(), reason="no zcu102/enet_runs.csv in GEOCORE_DATA")
def test_what_is_shipped_is_the_fit_to_the_published_table() -> None:
    found, shipped = fit_table(TABLE), published()
    assert isinstance(found, HlsModel)
    assert (found.width, found.narrow, found.ranges) == (
        shipped.width, shipped.narrow, shipped.ranges,
    )  # fmt: skip
    for column, terms in found.coefficients.items():
        assert terms == pytest.approx(shipped.coefficients[column], rel=1e-3, abs=1e-6)
        told = shipped.errors[column]
        assert found.errors[column].rows == told.rows
        assert found.errors[column].left_one == pytest.approx(told.left_one, abs=1e-3)
        assert found.errors[column].left_cell == pytest.approx(told.left_cell, abs=1e-3)
        assert found.errors[column].left_filters == pytest.approx(told.left_filters, abs=1e-3)
