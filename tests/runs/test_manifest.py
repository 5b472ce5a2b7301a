"""The manifest: what it says of files, and that it vouches for itself."""

from __future__ import annotations

import json
from pathlib import Path

from geocore.runs.digest import digest_bytes
from geocore.runs.manifest import read_manifest, verify, write_manifest


def test_it_names_size_and_digest_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x").write_bytes(b"abc")
    write_manifest(tmp_path, {"key": "k", "values": {"a": 0.1}})
    manifest, damage = verify("k", tmp_path)
    assert damage is None
    assert manifest == {
        "key": "k",
        "values": {"a": 0.1},
        "files": {"sub/x": {"size": 3, "digest": digest_bytes(b"abc")}},
    }


def test_an_edited_manifest_does_not_vouch_for_itself(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"key": "k", "values": {"accuracy": 0.5}})
    path = tmp_path / "manifest.json"
    edited = json.loads(path.read_text())
    edited["values"]["accuracy"] = 0.9
    path.write_text(json.dumps(edited))
    manifest, damage = read_manifest("k", tmp_path)
    assert manifest is None
    assert damage is not None
    assert damage.startswith("manifest.json has digest ")
    assert damage.endswith(edited["checksum"])
