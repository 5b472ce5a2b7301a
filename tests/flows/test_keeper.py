"""The keeper of the server: what it passes on, and that pages that cannot be served end nothing."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows import keeper
from flows.keeper import comparisons, pages_url
from flows.server import record_of
from geocore.errors import UserError

URL = "http://127.0.0.1:1/api"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("PREFECT_API_URL", "PREFECT_UI_API_URL", "PREFECT_SERVER_UI_API_URL", "GEOCORE_HOME")
    for name in names:
        monkeypatch.delenv(name, raising=False)


def test_the_servers_pages_are_told_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    found = keeper._environment(URL)
    assert found["PREFECT_SERVER_UI_API_URL"] == URL
    assert "PREFECT_API_URL" not in found
    monkeypatch.setenv("PREFECT_UI_API_URL", "http://tunnel/api")
    assert "PREFECT_SERVER_UI_API_URL" not in keeper._environment(URL), "the user has said it"


def test_pages_are_served_for_the_time_of_the_block(tmp_path: Path) -> None:
    folder = comparisons(tmp_path)
    folder.mkdir(parents=True)
    (folder / "a.html").write_text("<p>a page")
    with keeper._pages(tmp_path, tmp_path / ".prefect", taken=0) as found:
        assert found["folder"] == str(folder)
        with urllib.request.urlopen(f"{found['url']}a.html", timeout=10) as answer:
            assert answer.read() == b"<p>a page"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(found["url"], timeout=10)


@pytest.mark.parametrize("error", [UserError("--port 1: taken"), OSError("no room")])
def test_pages_that_cannot_be_served_do_not_end_the_server(
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(keeper, "FolderServer", refuse)
    with keeper._pages(tmp_path, tmp_path / ".prefect", taken=0) as found:
        assert found == {}
    assert capsys.readouterr().out == f"comparisons are not served: {error}\n"


@pytest.mark.parametrize(
    "pages", [None, [], "x", {}, {"folder": "SERVED"}, {"folder": "/else", "url": "http://x/"}]
)
def test_without_pages_there_is_no_link(pages: Any, tmp_path: Path) -> None:
    record = record_of(psutil.Process())
    file = tmp_path / ".prefect/server.json"
    file.parent.mkdir()
    served = str(comparisons(tmp_path))
    known = {"folder": served, "url": "http://127.0.0.1:2/"}
    file.write_text(json.dumps({"keeper": record, "url": URL, "pages": known}))
    assert pages_url(tmp_path) == known["url"]
    if isinstance(pages, dict) and pages.get("folder") == "SERVED":
        pages = {"folder": served}
    file.write_text(json.dumps({"keeper": record, "url": URL, "pages": pages}))
    assert pages_url(tmp_path) is None
    for damaged in ('{"keeper": {"pid": Infinity, "born": 0}}', "[" * 10**5, "[]", ""):
        file.write_text(damaged)
        assert pages_url(tmp_path) is None
