"""The server of a page, by raw sockets: nothing of the disk, and nothing to a foreign name."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from geocore.errors import UserError
from geocore.report.live_page import LivePage, fingerprint, with_reload
from geocore.report.live_server import PageServer
from geocore.report.serving import is_loopback
from tests.report.wire import answer, got

PAGE = "<html><head></head><body>one</body></html>"
SECRET = "what lies beside"


class Site:
    """A page made from one file, and its server."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.source = folder / "ledger" / "page.html"
        self.source.parent.mkdir()
        self.source.write_text(PAGE)
        (folder / "secret").write_text(SECRET)
        (folder / "ledger" / "link").symlink_to(folder / "secret")
        self.told: list[str] = []
        self.changes = 0
        self.server = PageServer(host)
        self.page = LivePage(
            self.render, [folder / "ledger"], every=0.05,
            on_trouble=self.told.append, on_change=self.count,
        )  # fmt: skip

    def render(self) -> str:
        text = self.source.read_text()
        if text == "half":
            raise UserError("page.html: half of it", "more")
        if text == "fault":
            raise ValueError("a fault\nof ours")
        return text

    def count(self) -> None:
        self.changes += 1

    def ask(self, request: bytes | str, *, lines: int | None = None) -> str:
        """What comes back for these bytes: all, or the first ``lines`` of it."""
        return answer(self.server.port, request, lines=lines)

    def get(self, path: str, method: str = "GET", host: str | None = None) -> str:
        return got(self.server.port, path, method, host)


@contextmanager
def serving(folder: Path, host: str = "127.0.0.1") -> Iterator[Site]:
    site = Site(folder, host)
    thread = threading.Thread(target=site.server.serve, args=(site.page,))
    thread.start()
    try:
        yield site
    finally:
        site.server.close()
        thread.join(timeout=10)
        site.server.__exit__()
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site")) as site:
        yield site


def until(true: object, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def test_the_page_and_its_headers(site: Site) -> None:
    head, _, body = site.get("/").partition("\r\n\r\n")
    assert head.startswith("HTTP/1.0 200 OK\r\n")
    assert body.startswith("<html><head></head><body>one<script>")
    assert body.endswith("</script></body></html>")
    for header in (
        "Content-Type: text/html; charset=utf-8", f"Content-Length: {len(body)}",
        "Cache-Control: no-store", "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
        "Cross-Origin-Resource-Policy: same-origin", "Referrer-Policy: no-referrer",
    ):  # fmt: skip
        assert f"\r\n{header}" in head, header
    assert "Access-Control" not in head
    assert "Python" not in head
    assert site.get("/?state=1#x").startswith("HTTP/1.0 200")
    assert site.get("/", "HEAD").partition("\r\n\r\n")[2] == ""


@pytest.mark.parametrize(
    "path",
    [
        "/secret", "/../secret", "/ledger/../../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret",
        "/..%2fsecret", "/..%252fsecret", "/....//secret", "/.%00./secret", "/..\\secret",
        "/..%5csecret", "\\..\\secret", "//etc/passwd", "/%2fetc/passwd", "/link", "/ledger/link",
        "/page.html", "/index.html", "/events/../secret", "/\0", "/secret\0.html", "/%00", "/*",
        "../secret", "secret", "/%c0%ae%c0%ae/secret", "/~/secret", "/.git/config",
        "/proc/self/environ",
        "file:///etc/passwd", "http://127.0.0.1/", "http://evil.example/", "/" + "a" * 60000,
        "/" + "../" * 9000 + "etc/passwd", "/;/", "/\xe9",
    ],
    ids=lambda path: repr(path[:24]),
)  # fmt: skip
def test_no_path_leads_anywhere(site: Site, path: str) -> None:
    told = site.get(path)
    assert told.startswith(("HTTP/1.0 404 ", "HTTP/1.0 400 ")), told[:80]
    for words in (SECRET, "root:", "<body>"):
        assert words not in told
    reached = path if path.startswith("/") else f"/{path}"
    assert site.get(reached.replace("secret", "link")).startswith(("HTTP/1.0 404 ", "HTTP/1.0 400"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "GETT"])
def test_only_get_and_head(site: Site, method: str) -> None:
    told = site.get("/", method)
    assert told.startswith("HTTP/1.0 405 ")
    assert "\r\nAllow: GET, HEAD\r\n" in told
    assert "<body>" not in told


def test_dns_rebinding_is_refused(site: Site) -> None:
    port = site.server.port
    for own in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert site.get("/", host=own).startswith("HTTP/1.0 200"), own
    for foreign in (
        f"evil.example:{port}", "evil.example", "127.0.0.1", "localhost", f"127.0.0.1:{port + 1}",
        f"127.0.0.1.evil.example:{port}", f"localhost.evil.example:{port}", "", ":", f":{port}",
        f"192.168.0.1:{port}", f"0.0.0.0:{port}", f"user@127.0.0.1:{port}",
        f"{socket.gethostname()}.x",
    ):  # fmt: skip
        for path in ("/", "/events"):
            told = site.get(path, host=foreign)
            assert told.startswith("HTTP/1.0 403 "), foreign
            assert "one" not in told.partition("\r\n\r\n")[2]
    own = f"Host: 127.0.0.1:{port}\r\n"
    for heads in ("", own + "Host: evil.example\r\n", own + own):
        assert site.ask(f"GET / HTTP/1.1\r\n{heads}\r\n").startswith("HTTP/1.0 403 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0\1\2\r\n\r\n",
        b"\xff\xfe / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: " + b"a" * 70000 + b"\r\n\r\n", b"GET /" + b"a" * 70000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=lambda request: repr(request[:20]),
)  # fmt: skip
def test_what_is_no_request_is_refused_and_harms_nothing(
    site: Site, request_: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        told = site.ask(request_)
    except ConnectionError:  # closed before all was read
        told = ""
    assert "one" not in told
    assert site.get("/").startswith("HTTP/1.0 200")
    assert capfd.readouterr() == ("", "")


def test_a_slow_reader_holds_up_nobody(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port)) as slow:
        slow.sendall(b"GET / HT")
        assert site.get("/").startswith("HTTP/1.0 200")


def test_readers_are_told_of_each_version(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        request = f"GET /events HTTP/1.1\r\nHost: localhost:{site.server.port}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as wire:
            wire.sendall(request)
            stream = wire.makefile("r", encoding="ascii")
            heads = [line.strip() for line in iter(stream.readline, "\n")]
            assert "Content-Type: text/event-stream; charset=utf-8" in heads
            first = site.page.current[0]
            assert stream.readline() == f"data: {first}\n"
            stream.readline()
            site.source.write_text(PAGE.replace("one", "two"))
            told = stream.readline()
            assert told == f"data: {site.page.current[0]}\n" != f"data: {first}\n"
        assert ">two<script>" in site.get("/")
        assert site.page.current[0] in site.get("/")
        assert site.changes == 1


def test_a_page_that_cannot_be_made_stays_as_it_was(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        site.source.write_text("half")
        assert until(lambda: site.told == ["page.html: half of it"])
        (tmp_path / "ledger" / "other").touch()  # looked at again, told once
        site.source.write_text("fault")
        assert until(lambda: site.told[1:] == ["ValueError: a fault of ours"])
        assert ">one<" in site.get("/")
        site.source.write_text(PAGE.replace("one", "three"))
        assert until(lambda: ">three<" in site.get("/"))
        assert (len(site.told), site.changes) == (2, 1)


def test_an_equal_page_reloads_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        version = site.page.current[0]
        os.utime(site.source, (1, 1))
        time.sleep(0.3)
        assert site.page.current[0] == version
        assert site.changes == 0


def test_the_end_ends_the_stream(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        wire = socket.create_connection(("127.0.0.1", site.server.port), timeout=10)
        wire.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{site.server.port}\r\n\r\n".encode())
        assert b"200" in wire.recv(100)
    with wire:
        while wire.recv(1000):
            pass


def test_streams_are_bounded(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        for _ in range(64):
            assert site.server._streams.acquire(blocking=False)
        assert site.get("/events").startswith("HTTP/1.0 503 ")
        assert site.get("/").startswith("HTTP/1.0 200")


def test_a_place_that_cannot_be_listened_at_is_a_line() -> None:
    with PageServer() as taken:
        for host, port, line in (
            ("127.0.0.1", taken.port, f"--port {taken.port}: taken; give another one, or 0 for"),
            ("127.0.0.1", 65536, "--port is 65536; expected 0 to 65535"),
            ("127.0.0.1", -1, "--port is -1; expected 0 to 65535"),
            ("192.0.2.1", 0, "--host 192.0.2.1: no address of this machine; expected one"),
            ("not a host", 0, "--host not a host: no address of this machine"),
        ):
            with pytest.raises(UserError) as caught:
                PageServer(host, port)
            assert caught.value.lines[0].startswith(line)
    with PageServer(port=taken.port) as again:
        assert again.port == taken.port


def test_only_this_machine_reaches_it_unless_asked(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        assert site.server._server.server_address[0] == "127.0.0.1"
        assert site.server.url == f"http://127.0.0.1:{site.server.port}/"
    (tmp_path / "open").mkdir()
    with serving(tmp_path / "open", "0.0.0.0") as site:
        port = site.server.port
        for name in (f"10.0.0.7:{port}", f"{socket.gethostname()}:{port}"):
            assert site.get("/", host=name).startswith("HTTP/1.0 200"), name
        assert site.get("/", host=f"evil.example:{port}").startswith("HTTP/1.0 403")
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "192.168.1.2", "example.org")] == [False] * 4


def test_the_policy_is_widened_by_what_the_reload_needs() -> None:
    meta = '<meta http-equiv="Content-Security-Policy" content="{}">'
    page = f"<head>{meta.format('default-src &#39;none&#39;; img-src data:')}</head><body></body>"
    made = with_reload(page, "v1")
    assert "default-src 'none'; img-src data:; script-src 'sha256-" in made
    assert "connect-src 'self'\">" in made
    assert '!== "v1"' in made
    inline = with_reload(page.replace("img-src data:", "script-src 'unsafe-inline'"), "v1")
    assert "script-src 'unsafe-inline'; connect-src 'self'\">" in inline


def test_no_address_is_not_all_addresses() -> None:
    with pytest.raises(UserError, match="--host is empty; expected an address"):
        PageServer("")


def test_a_folder_that_goes_while_it_is_looked_through_ends_no_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results/gone").mkdir(parents=True)
    (tmp_path / "results/there").touch()
    scan = os.scandir

    def raced(path: Any) -> Any:
        if Path(path).name == "gone":
            Path(path).rmdir()
        return scan(path)

    monkeypatch.setattr(os, "scandir", raced)
    fingerprint([tmp_path])
    assert not (tmp_path / "results/gone").exists()


def test_a_fingerprint_follows_files_that_come_grow_and_go(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    seen = [fingerprint([tmp_path / "folder", absent])]
    (tmp_path / "folder/deep").mkdir(parents=True)
    file = tmp_path / "folder/deep/file"
    for act in (
        lambda: file.write_text("1"),
        lambda: file.write_text("12"),
        file.unlink,
        absent.touch,
    ):
        act()
        now = fingerprint([tmp_path / "folder", absent])
        assert now != seen[-1]
        seen.append(now)
    assert fingerprint([tmp_path / "folder", absent]) == seen[-1]


def test_a_large_folder_is_not_looked_through_and_compiled_code_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    (folder / "__pycache__").mkdir(parents=True)
    before = fingerprint([folder])
    (folder / "__pycache__" / "a.pyc").write_text("1")
    assert fingerprint([folder]) == before
    for name in "ab":
        (folder / name).write_text("1")
    both = fingerprint([folder])
    monkeypatch.setattr("geocore.report.live_page._MOST", 1)
    assert fingerprint([folder]) not in (before, both)
