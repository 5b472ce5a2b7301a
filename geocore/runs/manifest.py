"""The manifest of a piece: every file's size and digest, written last, with its own checksum."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocore.config.foreign_json import parse_json
from geocore.runs.atomic import write_json
from geocore.runs.digest import digest_file, digest_json

__all__ = ["read_manifest", "verify", "write_manifest"]

_NAME = "manifest.json"


def write_manifest(folder: Path, about: Mapping[str, Any]) -> None:
    """Describe all files below ``folder`` in its ``manifest.json``, beside what ``about`` says.

    Raises ``ValueError`` for a link (a piece holds its own bytes) and for a file of that name.
    """
    manifest = {**about, "files": _describe(folder)}
    write_json(folder / _NAME, {**manifest, "checksum": digest_json(manifest)})


def read_manifest(key: str, folder: Path) -> tuple[dict[str, Any] | None, str | None]:
    """The manifest of piece ``key``, or what is wrong with it; exactly one of the two is None."""
    try:
        manifest = parse_json((folder / _NAME).read_bytes())
        expected = manifest.pop("checksum")
        found = digest_json(manifest)
        owner = manifest["key"]
    except OSError as error:
        return None, f"{_NAME} cannot be read ({error.strerror})"
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, f"{_NAME} is not a manifest; expected JSON with a checksum"
    if found != expected:
        return None, f"{_NAME} has digest {found}; expected {expected}"
    if owner != key:
        return None, f"{_NAME} is that of piece {owner}"
    if not _is_complete(manifest):
        return None, f"{_NAME} lacks values, or the size and digest of a file"
    return manifest, None


def verify(key: str, folder: Path) -> tuple[dict[str, Any] | None, str | None]:
    """As ``read_manifest``, with every file's size and digest checked against it."""
    manifest, damage = read_manifest(key, folder)
    if manifest is None:
        return None, damage
    for name, expected in manifest["files"].items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != expected["size"]:
                return None, f"{name} has {size} bytes; expected {expected['size']}"
            found = digest_file(path)
        except OSError as error:
            return None, f"{name} cannot be read ({error.strerror})"
        if found != expected["digest"]:
            return None, f"{name} has digest {found}; expected {expected['digest']}"
    return manifest, None


def _is_complete(manifest: Mapping[str, Any]) -> bool:
    """Whether all is there that readers of a piece rely on."""
    files = manifest.get("files")
    if not (isinstance(manifest.get("values"), dict) and isinstance(files, dict)):
        return False
    return all(isinstance(f, dict) and {"size", "digest"} <= f.keys() for f in files.values())


def _describe(folder: Path) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(parent, name)
            if path.is_symlink() or path == folder / _NAME:
                raise ValueError(f"a piece holds no links and no {_NAME} of its own: {path}")
        for name in names:
            path = Path(parent, name)
            digest = digest_file(path)
            described[path.relative_to(folder).as_posix()] = {
                "size": path.stat().st_size,
                "digest": digest,
            }
    return described
