"""The working tree, as it lies now, as a snapshot."""

from __future__ import annotations

from pathlib import Path

from geocore.errors import UserError
from geocore.report.repository import Repository
from geocore.report.results import Results, is_result
from geocore.report.snapshot import Snapshot
from geocore.report.tracked import Tracked

__all__ = ["WORKSPACE", "workspace_snapshot"]

WORKSPACE = "workspace"


def workspace_snapshot(root: Path) -> Snapshot:
    """The files below ``root`` as they lie now; data by the digests of ``dvc.lock``."""
    repository = Repository(root)
    tracked = Tracked.of(WORKSPACE, _content(root / "params.yaml"), _content(root / "dvc.lock"))
    results = Results(WORKSPACE)
    for path in sorted((root / "results").rglob("*")):
        name = path.relative_to(root).as_posix()
        if is_result(name) and path.is_file():
            results.add(name, path.read_bytes())
    present = repository.present(tracked.code_paths())
    code = repository.hashes([path for path in present if tracked.is_code(path)])
    sources = {path: (root / path).read_bytes() for path in code}
    unknown = ("no git repository here: which code it stands for is not known",)
    return Snapshot(
        name=WORKSPACE,
        kind="workspace",
        commit=repository.commit("HEAD"),
        about="the files as they lie now",
        params=tracked.params,
        metrics=results.metrics,
        gates=results.gates,
        code=code,
        data=tracked.data(),
        curves=results.curves,
        pictures=results.pictures,
        notes=tracked.notes(sources) if present else unknown,
    )


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path.name}: {error.strerror}; expected a file to read") from None
