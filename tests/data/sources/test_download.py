"""Downloads from a server in this process: cut off, continued, mistaken, absent."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from geocore.data.sources.download import download
from geocore.errors import UserError

DATA = bytes(range(256)) * 400


class Server(ThreadingHTTPServer):
    """Serves ``data`` at every path; ``cut`` ends an answer early, ``ranges`` honours Range."""

    data = DATA
    cut: int | None = None
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.server.ranges else 0
        if self.path == "/missing":
            self.send_error(404)
            return
        if start >= len(self.server.data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        body = self.server.data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy between this process and itself."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def check(path: Path) -> None:
    if path.read_bytes() != DATA:
        raise UserError(f"{len(path.read_bytes())} wrong bytes; expected {len(DATA)} right ones")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_file_arrives(server: Server, tmp_path: Path) -> None:
    said: list[str] = []
    target = tmp_path / "new" / "file"
    assert download([server.address], target, check=check, say=said.append) == []
    assert target.read_bytes() == DATA
    assert files(target.parent) == ["file"]
    assert said == [f"downloading {server.address}"]
    assert download([server.address], target, check=check) == []
    assert server.asked == [None], "what is there is not asked for again"


def test_a_cut_off_download_goes_on(server: Server, tmp_path: Path) -> None:
    server.cut = 1000
    failures = download([server.address], tmp_path / "file", check=check)
    assert failures == [f"{server.address}: cut off after 1000 bytes; expected {len(DATA)}"]
    assert files(tmp_path) == ["file.partial"]
    server.cut = None
    assert download([server.address], tmp_path / "file", check=check) == []
    assert server.asked == [None, "bytes=1000-"]
    assert (tmp_path / "file").read_bytes() == DATA
    assert files(tmp_path) == ["file"]


def test_the_next_address_goes_on_where_the_first_was_cut_off(
    server: Server, tmp_path: Path
) -> None:
    server.cut = 1000
    with serving() as second:
        failures = download([server.address, second.address], tmp_path / "file", check=check)
        assert second.asked == ["bytes=1000-"]
    assert len(failures) == 1
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(DATA[:1000])
    server.ranges = False
    assert download([server.address], tmp_path / "file", check=check) == []
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_whole_partial_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(DATA)
    assert download([server.address], tmp_path / "file", check=check) == []
    assert server.asked == [f"bytes={len(DATA)}-"]


def test_a_mistaken_beginning_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(b"x" * 1000)
    assert download([server.address], tmp_path / "file", check=check) == []
    assert server.asked == ["bytes=1000-", None]
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_wrong_file_is_never_left(server: Server, tmp_path: Path) -> None:
    server.data = DATA[:-1] + b"?"
    failures = download([server.address], tmp_path / "file", check=check)
    wrong = f"{len(DATA)} wrong bytes; expected {len(DATA)} right ones"
    assert failures == [f"{server.address}: {wrong}"]
    assert files(tmp_path) == []


def test_what_each_address_answered_is_told(server: Server, tmp_path: Path) -> None:
    missing = server.address.replace("/file", "/missing")
    nobody = "http://127.0.0.1:9/file"
    assert download([missing, nobody], tmp_path / "file", check=check) == [
        f"{missing}: Not Found",
        f"{nobody}: [Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}",
    ]
    assert files(tmp_path) == []


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="address is 'file:///etc/hosts'; expected http or https"):
        download(["file:///etc/hosts"], tmp_path / "file", check=check)
