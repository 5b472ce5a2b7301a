"""Mutated inputs given to a reader in a process of its own, whose time and memory are limited.

``main`` runs there: a line of JSON comes back, with how many inputs were read, how many of them
were refused, and every distinct fault with the smallest input that shows it. Each input lies in a
file before it is read, so that what kills the process is there to be seen.
"""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.data_readers import DATA_READERS
from tests.fuzz.reader import Reader
from tests.fuzz.run_readers import RUN_READERS

__all__ = ["READERS", "Found", "fuzz"]

READERS = {**DATA_READERS, **RUN_READERS}
ROOT = Path(__file__).parents[2]
# Other distributions install a package of that name: these are the tests of this folder.
_START = """
import sys, types
tests = types.ModuleType("tests")
tests.__path__ = ["tests"]
sys.modules["tests"] = tests
from tests.fuzz.reading import main
sys.exit(main(*sys.argv[1:]))
"""
SECONDS = 1.0  # of processor time an input
MEMORY = 384 * 2**20  # bytes beyond what the idle process has


@dataclass(frozen=True)
class Found:
    """``faults`` maps what went wrong to the input that shows it."""

    inputs: int
    refused: int
    faults: dict[str, str]


class HangError(BaseException):
    """An input took too long."""


def fuzz(reader: str, inputs: int, keep: Path) -> Found:
    """So many mutated inputs for the reader of that name; witnesses go to ``keep``."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as work:
        done = subprocess.run(
            [sys.executable, "-c", _START, reader, str(inputs), work, str(keep)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600 + inputs * SECONDS,  # by the clock, of a machine that may be busy
        )
        if done.returncode == 0:
            return Found(**json.loads(done.stdout.splitlines()[-1]))
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copytree(work, keep / f"{reader}-killed", dirs_exist_ok=True)
        told = [line[:100] for line in done.stderr.strip().splitlines()[-6:]]
        return Found(0, 0, {f"exit code {done.returncode}: {told}": str(keep / f"{reader}-killed")})


def main(name: str, inputs: str, work: str, keep: str) -> int:
    """What the process does."""
    from hypothesis import HealthCheck, Phase, given, settings

    reader = READERS[name]
    folder = Path(work)
    reader.prepare(folder)
    warnings.simplefilter("ignore")
    reader.read(folder)  # as it is, it is taken; whatever is imported is imported now
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGPROF, _hang)
    faults: dict[str, bytes] = {}
    counts = [0, 0]

    @settings(
        max_examples=int(inputs),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.inputs(folder))
    def attempt(data: bytes) -> None:
        counts[0] += 1
        reader.place(folder, data)
        fault = _fault(reader, folder, counts)
        if fault is not None and len(data) <= len(faults.get(fault, data)):
            faults[fault] = data

    attempt()
    found = {}
    for number, (fault, data) in enumerate(sorted(faults.items())):
        Path(keep).mkdir(parents=True, exist_ok=True)
        path = Path(keep) / f"{name}-{number}"
        path.write_bytes(data)
        found[fault] = str(path)
    print(json.dumps({"inputs": counts[0], "refused": counts[1], "faults": found}))
    return 0


def _fault(reader: Reader, folder: Path, counts: list[int]) -> str | None:
    """What is wrong with how the input was met; None for one that was taken or refused well."""
    from geocore.errors import UserError

    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        reader.read(folder)
    except UserError as error:
        counts[1] += 1
        bad = [line for line in error.lines if not line.strip() or "\n" in line]
        return f"a line that is {bad[0]!r}" if bad or not error.lines else None
    except ValueError as error:
        counts[1] += 1
        text = str(error)
        return None if text.strip() and "\n" not in text else f"ValueError: {text[:200]!r}"
    except (Exception, HangError) as error:
        return f"{type(error).__name__}: {_where(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def _where(error: BaseException) -> str:
    """The last of our own lines that it came through, and how it ends."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/geocore/" in f.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    place = last.filename.rpartition("/geocore/")[2]
    return f"{place}:{last.lineno} ({last.line})"


def _hang(*_: Any) -> None:
    raise HangError
