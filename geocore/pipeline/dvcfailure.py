"""What ``dvc repro`` says when it fails, in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from geocore.errors import UserError

__all__ = ["StageError", "failure"]

_RUNNING = re.compile(r"Running stage '(.+)':")
_FAILED = re.compile(r"ERROR: failed to reproduce '(?P<stage>[^']+)': (?P<why>.+)")
_EXITED = re.compile(r"failed to run: .+, exited with (?P<code>-?\d+)")
_LONGEST = 300  # characters of a line that nobody wrote for this


class StageError(UserError):
    """A stage did not end well; ``exit_code`` is 2 where that was a user's mistake, else 1."""

    def __init__(self, line: str, exit_code: int = 1) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def failure(code: int, lines: Sequence[str]) -> StageError:
    """Why ``dvc repro`` ended with ``code``, from the lines that it and its stages wrote.

    The stage and what it told (``error: ...``; for a gate the metric, its value and its bound),
    else the end of its output; what DVC says where no stage is to blame.
    """
    said = [line for line in lines if line.startswith("ERROR: ")]
    found = next((match for line in reversed(said) if (match := _FAILED.match(line))), None)
    if found is None:
        if code < 0:
            return StageError(f"dvc repro: ended by signal {-code}; expected exit code 0")
        why = said[-1].removeprefix("ERROR: ") if said else f"exit code {code}; expected 0"
        return StageError(f"dvc repro: {_short(why)}", 2 if said else 1)
    stage, exited = found["stage"], _EXITED.fullmatch(found["why"])
    if exited is None:
        return StageError(f"stage {stage} failed: {_short(found['why'])}")
    output = _output(lines)
    own = f"{stage.rpartition(':')[2]}: "
    told = [line.removeprefix("error: ").removeprefix(own) for line in output if _is_told(line)]
    if told:
        return StageError(f"stage {stage} failed: {'; '.join(told)}", int(exited["code"]))
    last = next((line.strip() for line in reversed(output) if line.strip()), "it said nothing")
    return StageError(f"stage {stage} failed with exit code {exited['code']}: {_short(last)}")


def _output(lines: Sequence[str]) -> list[str]:
    """What the stage that ran last wrote."""
    began = max((n for n, line in enumerate(lines) if _RUNNING.fullmatch(line)), default=-1)
    return [line for line in lines[began + 1 :] if not line.startswith(("ERROR: ", "> "))]


def _is_told(line: str) -> bool:
    return line.startswith("error: ")


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
