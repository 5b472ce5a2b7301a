"""A page in a real browser whose network is cut, and all that it complained of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

__all__ = ["READY", "View"]

READY = "'ready' in document.documentElement.dataset && document.readyState === 'complete'"
_WAIT = 10_000  # milliseconds until what is waited for counts as missing

# The time from an act to the frame that shows what it did: as long as somebody waits for it.
_TIMED = """async (act) => {
  const begun = performance.now();
  (new Function(act))();
  await new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  return performance.now() - begun;
}"""


class View:
    """One tab of its own. ``errors`` are what the page threw, said in the console, or wanted of
    the network: a request of anything but its own file or its own server is aborted and listed.
    """

    def __init__(
        self, browser: Browser, *, width: int = 1280, height: int = 900, offline: bool = True,
        own: str = "", **more: Any,
    ) -> None:  # fmt: skip
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            offline=offline,
            accept_downloads=True,
            **more,
        )
        self.context.set_default_timeout(_WAIT)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self._own = own
        self._asked = "about:blank", "true"
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(f"thrown: {error}"))
        self.page.on("dialog", self._dialog)
        self.context.route("**/*", self._route)

    def open(self, target: Path | str, fragment: str = "", ready: str = READY) -> View:
        """Load a file or an address, and wait until its programs have run."""
        address = target.resolve().as_uri() if isinstance(target, Path) else target
        self._asked = (f"{address}#{fragment}" if fragment else address), ready
        self.page.goto(self._asked[0])
        self.settled(ready)
        return self

    def seconds(self) -> tuple[float, float]:
        """From asking for the page until it is there, the least of three times: by the clock, and
        of the processor that draws it. The first says what a reader waits, and how busy the
        machine is beside it; the second how much the page asks for.
        """
        session = self.context.new_cdp_session(self.page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def worked() -> float:
            told = session.send("Performance.getMetrics")["metrics"]
            return float(next(one["value"] for one in told if one["name"] == "TaskDuration"))

        waited, spent = [], []
        for _ in range(3):
            self.page.goto("about:blank")
            before, begun = worked(), time.perf_counter()
            self.page.goto(self._asked[0])
            self.settled(self._asked[1])
            waited.append(time.perf_counter() - begun)
            spent.append(worked() - before)
        session.detach()
        return min(waited), min(spent)

    def close(self) -> None:
        """Close the tab."""
        self.context.close()

    def eval(self, script: str, argument: Any = None) -> Any:
        """What a script gives in the page."""
        return self.page.evaluate(script, argument)

    def text(self, testid: str) -> str:
        """What is seen of an element."""
        return self.page.get_by_test_id(testid).inner_text()

    def shown_rows(self) -> list[int]:
        """The numbers of the runs whose rows are seen, in their order."""
        script = (
            "[...document.querySelectorAll('#run-table tr[data-run]')]"
            ".filter((row) => row.checkVisibility()).map((row) => +row.dataset.run)"
        )
        found: list[int] = self.eval(script)
        return found

    def milliseconds(self, act: str) -> float:
        """From an act (statements of JavaScript) to the frame that shows it."""
        spent: float = self.page.evaluate(_TIMED, act)
        return spent

    def settled(self, condition: str) -> None:
        """Wait until a condition holds in the page; from here, whose policy lets nothing poll."""
        end = time.monotonic() + _WAIT / 1000
        while not self._holds(condition):
            assert time.monotonic() < end, f"not in {_WAIT / 1000:g} s: {condition}"
            self.page.wait_for_timeout(20)

    def _holds(self, condition: str) -> bool:
        from playwright.sync_api import Error

        try:
            return bool(self.eval(condition))
        except Error as error:
            if "navigation" in str(error):  # in the middle of a reload
                return False
            raise

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """Press at a point, move in steps as a hand does, and let go."""
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        for step in range(1, 6):
            mouse.move(x + (to_x - x) * step / 5, y + (to_y - y) * step / 5)
        mouse.up()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning", "assert"):
            self.errors.append(f"{message.type}: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _route(self, route: Route) -> None:
        address = route.request.url
        inside = urlsplit(address).scheme in ("file", "data", "blob")
        if inside or (self._own and address.startswith(self._own)):
            route.continue_()
            return
        self.errors.append(f"asked the network: {address}")
        route.abort()
