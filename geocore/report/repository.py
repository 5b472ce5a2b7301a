"""Reading a git repository's objects, whatever the names asked for look like."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from geocore.errors import UserError

__all__ = ["Experiment", "Repository"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{4,64}")
# What `dvc exp` makes: refs/exps/, the commit it began from in two parts, its name.
_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38,62}/(.+)", re.DOTALL)
_FILES = ("100644", "100755")  # modes: links and submodules are no files of ours


@dataclass(frozen=True)
class Experiment:
    """A DVC experiment: its name and its commit."""

    name: str
    commit: str


class Repository:
    """The git repository that ``root`` lies in; paths are relative to ``root``.

    No name ever reaches a shell or is taken for an option of git.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def commit(self, name: str) -> str | None:
        """The commit that a branch, tag, hash or ``HEAD~2`` names; None if it names none.

        Raises ``UserError`` for the beginning of a hash that several commits share.
        """
        if not name or name.startswith("-") or "\0" in name:
            return None
        wanted = f"{name}^{{commit}}"
        found = self._text("rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
        if found is not None and _COMMIT.fullmatch(found):
            return found
        if _SHORT.fullmatch(name):
            self._refuse_shared(name)
        return None

    def names(self) -> list[str]:
        """Branches and tags by their short names."""
        pattern = ("refs/heads", "refs/tags", "refs/remotes")
        listed = self._text("for-each-ref", "--format=%(refname:short)", *pattern)
        return (listed or "").splitlines()

    def experiments(self) -> list[Experiment]:
        """The experiments that DVC keeps under ``refs/exps``."""
        listed = self._text("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps")
        found = []
        for line in (listed or "").splitlines():
            commit, _, reference = line.partition(" ")
            match = _EXPERIMENT.fullmatch(reference)
            if match is not None:
                found.append(Experiment(match[1], commit))
        return found

    def files(self, commit: str) -> dict[str, str]:
        """Path -> blob of each regular file below ``root`` in a commit."""
        listed = self._run("ls-tree", "-r", "-z", "--end-of-options", commit) or b""
        found = {}
        for line in listed.split(b"\0"):
            about, _, path = line.partition(b"\t")
            if path and about.decode("ascii").split()[0] in _FILES:
                found[_name(path)] = about.decode("ascii").split()[2]
        return found

    def contents(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """Blob -> bytes, in one process."""
        wanted = list(dict.fromkeys(blobs))
        if not wanted:
            return {}
        output = self._run("cat-file", "--batch", given="\n".join(wanted).encode("ascii")) or b""
        found, place = {}, 0
        for blob in wanted:
            end = output.find(b"\n", place)
            header = output[place:end].split()
            place = end + 1
            if len(header) == 3:  # else "... missing": a shallow or a damaged repository
                size = int(header[2])
                found[blob] = output[place : place + size]
                place += size + 1
        return found

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        text = self._text("show", "--no-patch", "--format=%s", "--end-of-options", commit)
        return text or ""

    def committed(self, commit: str) -> str:
        """When a commit was made, in UTC as ISO 8601; ``""`` if that is not known."""
        text = self._text("show", "--no-patch", "--format=%ct", "--end-of-options", commit) or ""
        return datetime.fromtimestamp(int(text), UTC).isoformat() if text.isdecimal() else ""

    def present(self, folders: Iterable[str]) -> list[str]:
        """Files below ``folders`` as they lie now, tracked or not, but for the ignored ones."""
        asked = ("--cached", "--others", "--exclude-standard", "--", *folders)
        listed = self._run("ls-files", "-z", *asked)
        if listed is None:
            return []
        paths = dict.fromkeys(_name(path) for path in listed.split(b"\0") if path)
        return [path for path in paths if _is_file(self.root / path)]

    def unignored(self, folder: str, rules: str) -> list[str] | None:
        """Files below ``folder`` that the file ``rules`` does not exclude, git-ignored or not.

        None where git cannot tell, or where there is more than files: a link to a folder, ...
        """
        given = [f"--exclude-from={self.root / rules}"] if (self.root / rules).is_file() else []
        listed = self._run("ls-files", "-z", "--cached", "--others", *given, "--", folder)
        excluded: bytes | None = b""
        if given:
            excluded = self._run("ls-files", "-z", "--cached", "--ignored", *given, "--", folder)
        if listed is None or excluded is None:
            return None
        names = {*listed.split(b"\0")} - {*excluded.split(b"\0"), b""}
        paths = sorted(path for path in map(_name, names) if os.path.lexists(self.root / path))
        return paths if all((self.root / path).is_file() for path in paths) else None

    def hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """Path -> the blob that git would store for the file as it lies now."""
        wanted = list(paths)
        lines = "\n".join(_quoted(path) for path in wanted) + "\n"
        told = self._run("hash-object", "--stdin-paths", given=os.fsencode(lines))
        blobs = (told or b"").decode("ascii").split()
        return dict(zip(wanted, blobs, strict=False))

    def _refuse_shared(self, name: str) -> None:
        listed = (self._text("rev-parse", f"--disambiguate={name}") or "").split()
        kinds = self._run("cat-file", "--batch-check", given="\n".join(listed).encode("ascii"))
        told = [line.split() for line in (kinds or b"").decode("ascii").splitlines()]
        commits = [line[0][:12] for line in told if line[1:2] == ["commit"]]
        if len(commits) > 1:
            raise UserError(f"commit {name!r} is not unique; it may be {', '.join(commits[:3])}")

    def _text(self, *arguments: str) -> str | None:
        told = self._run(*arguments)
        return None if told is None else _name(told).strip()

    def _run(self, *arguments: str, given: bytes | None = None) -> bytes | None:
        """What git says; None where it fails, is not installed, or there is no repository."""
        try:
            done = subprocess.run(
                ["git", "-C", os.fspath(self.root), "--literal-pathspecs", *arguments],
                input=b"" if given is None else given,
                capture_output=True,
                timeout=60,
                env=_environment(),
            )
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None


def _environment() -> Mapping[str, str]:
    # Looking on takes no lock, asks no question, and fetches nothing; inside a git hook these
    # variables would send it to another repository.
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
    here = {name: value for name, value in os.environ.items() if name not in elsewhere}
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    return {**here, **quiet, "LC_ALL": "C"}


def _name(raw: bytes) -> str:
    return os.fsdecode(raw)


def _quoted(path: str) -> str:
    """As ``hash-object`` reads a line: quoted where the path itself would mislead it."""
    if "\n" not in path and not path.startswith('"'):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
