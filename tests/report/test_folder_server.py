"""The server of a folder's pages, by raw sockets: those that lie in it, and nothing beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from geocore.report.folder_server import FolderServer
from tests.report.wire import got

SECRET = "what lies beside"
Get = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pages = tmp_path / "pages"
    pages.mkdir()
    (tmp_path / "secret.html").write_text(SECRET)
    (pages / "20260101T000000-repro-aaaaaa.html").write_text("<p>the first")
    (pages / "20260102T000000-repro-bbbbbb.html").write_text("<p>the second")
    (pages / "link.html").symlink_to(tmp_path / "secret.html")
    (pages / "folder.html").mkdir()
    (pages / "notes.txt").write_text(SECRET)
    (pages / "<b>.html").write_text(SECRET)
    (pages / ".hidden.html").write_text(SECRET)
    os.mkfifo(pages / "pipe.html")
    return pages


@pytest.fixture
def get(folder: Path) -> Iterator[Get]:
    """``get(path)``: all that comes back."""
    with FolderServer(folder, "Pages of <a> & b") as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        yield partial(got, server.port)
        server.close()
        thread.join(timeout=10)


def test_a_page_goes_out_as_it_lies_there(get: Get, folder: Path) -> None:
    name = "20260101T000000-repro-aaaaaa.html"
    head, body = get(f"/{name}?from=elsewhere").split("\r\n\r\n", 1)
    assert head.startswith("HTTP/1.0 200 ") and body == "<p>the first"
    assert "Content-Type: text/html; charset=utf-8" in head.split("\r\n")
    assert "Cache-Control: no-store" in head.split("\r\n")
    (folder / name).write_text("<p>written again")
    assert get(f"/{name}").endswith("\r\n\r\n<p>written again")
    head, body = get(f"/{name}", "HEAD").split("\r\n\r\n", 1)
    assert "Content-Length: 16" in head.split("\r\n") and body == ""


def test_the_list_has_the_last_page_first_and_is_text(get: Get, folder: Path) -> None:
    page = get("/")
    assert "Pages of &lt;a&gt; &amp; b" in page and "<a>" not in page
    first, second = page.index("20260101T000000"), page.index("20260102T000000")
    assert second < first
    for refused in ("<b>", "hidden", "notes", "link", "folder", "pipe"):
        assert refused not in page
    for path in folder.glob("*2026*"):
        path.unlink()
    assert "20260102T000000" not in get("/")


def test_a_large_page_goes_out_in_pieces(get: Get, folder: Path) -> None:
    content = "".join(f"<p>{number}</p>" for number in range(100_000))
    (folder / "large.html").write_text(content)
    assert get("/large.html").split("\r\n\r\n", 1)[1] == content


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.html",
        "/pages/../../secret.html",
        "/%2e%2e/secret.html",
        "/..%2fsecret.html",
        "//secret.html",
        "/./20260101T000000-repro-aaaaaa.html",
        "/link.html",
        "/folder.html",
        "/pipe.html",
        "/notes.txt",
        "/<b>.html",
        "/.hidden.html",
        "/20260101T000000-repro-aaaaaa.html\x00",
        "/absent.html",
        "/events",
        "*",
    ],
)
def test_nothing_else_is_there(get: Get, path: str) -> None:
    told = get(path)
    assert told.startswith("HTTP/1.0 404 ") and SECRET not in told, told


def test_a_foreign_name_and_another_method_get_nothing(get: Get) -> None:
    name = "/20260101T000000-repro-aaaaaa.html"
    assert get(name, host="evil.example:80").startswith("HTTP/1.0 403 ")
    assert get(name, "POST").startswith("HTTP/1.0 405 ")


def test_a_folder_that_is_not_there_yet_is_an_empty_list(tmp_path: Path) -> None:
    with FolderServer(tmp_path / "later", "Pages") as server:
        assert b"There is none yet." in server._list()
        assert server._open("/any.html") is None
