"""Downloads that go on where they were cut off, and are there only when whole and checked."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path

from geocore.errors import UserError
from geocore.runs.locks import hold

__all__ = ["download"]

_CHUNK = 2**18
_TIMEOUT = 30.0  # seconds without a byte


def download(
    addresses: Sequence[str],
    target: Path,
    *,
    check: Callable[[Path], object],
    say: Callable[[str], None] = lambda line: None,
    timeout: float = _TIMEOUT,
) -> list[str]:
    """Get ``target`` from the first of ``addresses`` that has it; return each one's failure.

    Bytes go to ``NAME.partial`` beside it, which the next attempt continues; ``check`` reads the
    complete file and raises ``UserError`` where it is not what it should be, and then the next
    address is asked. Only a checked file takes the name ``target``. An equal download in another
    process is waited for.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    failures: list[str] = []
    with hold(target.with_name(f".{target.name}.lock"), f"download of {target.name}", on_wait=say):
        for address in addresses:
            if target.is_file():
                break
            say(f"downloading {address}")
            try:
                resumed = _continue(address, partial, timeout)
                try:
                    check(partial)
                except UserError:
                    partial.unlink()
                    if not resumed:
                        raise
                    _continue(address, partial, timeout)  # its beginning was another file's
                    check(partial)
            except UserError as error:
                partial.unlink(missing_ok=True)
                failures.append(f"{address}: {error}")
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                failures.append(f"{address}: {reason}")
            else:
                partial.replace(target)
    return failures


def _continue(address: str, partial: Path, timeout: float) -> bool:
    """Fetch what ``partial`` lacks; a server that cannot begin in the middle sends it all.

    True if bytes of an earlier attempt are in it.
    """
    if not address.startswith(("https://", "http://")):
        raise ValueError(f"address is {address!r}; expected http or https")
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(address)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is lacking
            return True
        raise
    resumed = bool(answer.status == 206)
    with answer, partial.open("ab" if resumed else "wb") as sink:
        expected = answer.headers.get("Content-Length")
        received = 0
        while chunk := answer.read(_CHUNK):
            sink.write(chunk)
            received += len(chunk)
        if expected is not None and received != int(expected):
            raise ConnectionError(f"cut off after {received} bytes; expected {expected}")
    return resumed
