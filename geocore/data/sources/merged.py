"""Any dense source with classes merged into fewer: road scenes as a car's chip sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from geocore.data.sources.base import Rows
from geocore.data.sources.dense import DenseSource, Frame
from geocore.data.table import IGNORED
from geocore.errors import UserError
from geocore.runs.digest import digest_json

__all__ = ["ROAD", "Merged"]

# Four classes with the background (Ghielmetti et al., 2205.07690), by the names that CamVid,
# Cityscapes, WoodScape, SynWoodScape and our scenes give theirs. Riders and cyclists, trucks and
# buses with a class of their own stay background, as in that paper.
ROAD: Mapping[str, Sequence[str]] = {
    "road": ("road", "lane_mark", "lanes", "road line"),
    "car": ("car", "vehicles", "four-wheeler vehicle"),
    "person": ("person", "pedestrian"),
}


class Merged(DenseSource):
    """``source`` with the classes ``("background", *groups)``.

    A group holds the classes whose names it lists; what no group lists is background; pixels
    without a label stay without. All else is the source's own. Raises ``UserError`` for a source
    that has no class of some group.
    """

    def __init__(self, source: DenseSource, groups: Mapping[str, Sequence[str]] = ROAD) -> None:
        self.name, self.shape, self.splits = source.name, source.shape, source.splits
        self.camera, self.views = source.camera, source.views
        self.poses, self.seen = source.poses, source.seen
        self.classes = ("background", *groups)
        self._source = source
        self._codes = np.zeros(IGNORED + 1, np.uint8)
        self._codes[IGNORED] = IGNORED
        for code, (group, names) in enumerate(groups.items(), start=1):
            members = [n for n, name in enumerate(source.classes) if name in names]
            if not members:
                raise UserError(
                    f"{source.name}: no class of {', '.join(source.classes)} is {group}; "
                    f"expected one of {', '.join(names)} to merge"
                )
            self._codes[members] = code
        merged = {group: list(names) for group, names in groups.items()}
        self.digest = digest_json(["merged", source.digest, merged])

    def __len__(self) -> int:
        return len(self._source)

    def frames(self, rows: Rows) -> Iterator[Frame]:
        for frame in self._source.frames(rows):
            yield frame._replace(label=self._codes[frame.label])
