"""A page as a browser would take it apart: what is text, what is a tag, what it would fetch."""

from __future__ import annotations

from html.parser import HTMLParser

__all__ = ["Page"]

_VOID = {"meta", "img", "br", "wbr", "input"}
_RAW = {"script", "style"}  # what stands in them is no text of the page
_FETCHING = {"src", "href", "action", "data", "poster", "srcset", "background", "xlink:href"}


class Page(HTMLParser):
    """Tags with their attributes, text, and what does not nest; ``Page(html)``."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.faults += [f"<{tag}> stays open" for tag in self._open]

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    def attributes(self, name: str) -> list[str]:
        return [found for _, pairs in self.tags if (found := pairs.get(name)) is not None]

    def fetched(self) -> set[str]:
        """What it would load or go to, but for pictures it holds and places of its own."""
        targets = {t for name in _FETCHING for t in self.attributes(name)}
        return {t for t in targets if not t.startswith(("data:image/png;base64,", "#"))}

    def programs(self) -> list[str]:
        """The scripts that would run, of themselves or by another; data is none."""
        return [text for about, text in self.scripts if about.get("type") != "application/json"]

    def handlers(self) -> set[str]:
        return {name for _, pairs in self.tags for name in pairs if name.startswith("on")}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes another")

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        self.text += "" if inside in _RAW else data
