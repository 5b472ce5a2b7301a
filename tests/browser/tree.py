"""The accessibility tree of a page: what a screen reader is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.browser.view import View

__all__ = ["CONTROLS", "Node", "tree_of"]

CONTROLS = (
    "button", "checkbox", "combobox", "DisclosureTriangle", "link", "radio", "slider", "spinbutton",
    "textbox",
)  # fmt: skip
_LEAVES = ("image", "slider", "option")  # whose children are not read
_SILENT = ("InlineTextBox", "MenuListPopup", "none")


@dataclass
class Node:
    """Something that is read: its role, its name, what more is said of it, and what is in it."""

    role: str
    name: str
    description: str
    told: dict[str, Any]
    element: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def every(self, *roles: str) -> list[Node]:
        """All in it, itself included, in the order that they are read in; of some roles."""
        return [node for node in self._walk() if not roles or node.role in roles]

    def section(self) -> str:
        """The names of what it stands in, from the outside in."""
        above = self.parent
        names = []
        while above:
            if above.role in ("region", "group", "navigation") and above.name:
                names.append(above.name)
            above = above.parent
        return " > ".join(reversed(names))

    def text(self) -> str:
        """All that is read of it."""
        return " ".join(node.name for node in self.every("StaticText") if node.name.strip())

    def _walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child._walk()

    def __repr__(self) -> str:
        return f"<{self.role} {self.name!r} in {self.section()!r}>"


def tree_of(view: View) -> Node:
    """All of a page, also what is not on the screen."""
    session = view.context.new_cdp_session(view.page)
    found = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    by_id = {one["nodeId"]: one for one in found}
    root = Node("page", "", "", {}, 0)

    def add(one: dict[str, Any], parent: Node) -> None:
        role = one.get("role", {}).get("value", "")
        if not one.get("ignored") and role not in _SILENT:
            told = {p["name"]: p["value"].get("value") for p in one.get("properties", [])}
            node = Node(
                role, _value(one, "name"), _value(one, "description"), told,
                one.get("backendDOMNodeId", 0), parent,
            )  # fmt: skip
            parent.children.append(node)
            parent = node
        if role not in _LEAVES:
            for child in one.get("childIds", []):
                if child in by_id:
                    add(by_id[child], parent)

    add(found[0], root)
    return root


def _value(one: dict[str, Any], key: str) -> str:
    return str(one.get(key, {}).get("value", ""))
