"""Which images to take, and how to split them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from geocore.config.foreign_json import shown
from geocore.config.section import Section, Seed, rule

__all__ = ["DENSE_SOURCES", "DataParams", "MergedParams"]

DENSE_SOURCES = ("scenes", "woodscape", "camvid", "cityscapes", "canvas")
_NEEDED = {
    "scenes": ("scenes", "height", "width", "jitter", "tilt"),
    "woodscape": ("camera",),
    "canvas": ("canvases", "height", "width", "items_of", "items"),
    "street_digits": ("canvases", "items_of"),
}
_CAMERAS = {"scenes": ("null", "pinhole"), "woodscape": ("FV", "RV", "MVL", "MVR")}

Pixels = Annotated[int, Field(ge=2, le=8192)]
Counts = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10**6)], ...],
    *rule(
        lambda counts: len(counts) == 3,
        "a list of three integers from 1 to 1000000: train, val, test",
    ),
]
Span = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100)], ...],
    *rule(
        lambda span: len(span) == 2 and span[0] <= span[1],
        "a list of two integers from 1 to 100: least, most",
    ),
]


class DataParams(Section):
    """``fetch``: a source, its folder, and the held-out split that is made once and stored.

    Sources with a class a pixel (``DENSE_SOURCES``) have keys of their own, null for the others.
    """

    title: ClassVar[str] = "data"

    source: Literal[
        "digits",
        "mnist",
        "fashion_mnist",
        "image_folder",
        "parquet_images",
        "svhn",
        "svhn_extra",
        "street_digits",
        "scenes",
        "woodscape",
        "camvid",
        "cityscapes",
        "canvas",
    ]
    path: str | None = Field(
        description="folder of image_folder and parquet_images, relative to the repository, "
        "else to the folder that GEOCORE_DATA names; of woodscape, camvid and cityscapes, if it is "
        "another than the one of that name there"
    )
    image_size: Pixels | None = Field(
        description="resize every image to this many pixels a side; null keeps them as they are"
    )
    height: Pixels | None = Field(description="rows of sources with a class a pixel")
    width: Pixels | None = Field(
        description="columns of scenes and canvas; the others are reduced to height x width, "
        "null keeps them as they are"
    )
    scenes: Counts | None = Field(description="scenes rendered for training, validation and test")
    jitter: Annotated[float, Field(ge=0, le=30)] | None = Field(
        description="degrees that the upright camera of scenes may pitch and roll"
    )
    tilt: Annotated[float, Field(ge=0, le=180)] | None = Field(
        description="degrees that a test scene's further cameras are tilted and rolled"
    )
    camera: Literal["FV", "RV", "MVL", "MVR", "pinhole"] | None = Field(
        description="whose images of woodscape: front, rear, left or right mirror; scenes through "
        "a pinhole, null through a fisheye"
    )
    canvases: Counts | None = Field(
        description="canvases with items, or street_digits, for training, validation and test"
    )
    items_of: Literal["digits", "mnist", "fashion_mnist"] | None = Field(
        description="whose images lie on a canvas, or are the digits of street_digits"
    )
    items: Span | None = Field(description="least and most items on a canvas")
    item_size: Pixels | None = Field(
        description="resize the items of a canvas to this many pixels a side; null keeps them"
    )
    limit: Annotated[int, Field(ge=10)] | None = Field(
        description="at most this many samples, classes balanced; null takes all"
    )
    val_fraction: float = Field(gt=0, lt=0.5, description="share of what is not test")
    test_fraction: float = Field(
        gt=0, lt=0.5, description="used only where the source has no test split of its own"
    )
    seed: Seed

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> type[Section]:
        """``MergedParams`` where ``raw`` has its key."""
        return MergedParams if "classes" in raw else cls

    @property
    def dense(self) -> bool:
        """Whether the source has a class for each pixel."""
        return self.source in DENSE_SOURCES

    @model_validator(mode="after")
    def _keys_of_the_source(self) -> DataParams:
        for key, applies in self._applies():
            value = getattr(self, key)
            if value is not None and not applies:
                pinhole = key == "tilt" and self.camera == "pinhole"
                lens = " through a pinhole" if pinhole else ""
                raise ValueError(
                    f"data.{key} is {shown(value)}; expected null for source {self.source}{lens}"
                )
        cameras = _CAMERAS.get(self.source, ())
        if self.camera is not None and self.camera not in cameras:
            raise ValueError(
                f"data.camera is {shown(self.camera)}; expected {' or '.join(cameras)} for source "
                f"{self.source}"
            )
        for key in _NEEDED.get(self.source, ()):
            if getattr(self, key) is None and not (key == "tilt" and self.camera == "pinhole"):
                raise ValueError(f"data.{key} is null; expected a value for source {self.source}")
        if (self.height is None) != (self.width is None):
            raise ValueError(
                f"data.height is {shown(self.height)} and data.width {shown(self.width)}; "
                "expected both or neither"
            )
        return self

    def _applies(self) -> Iterator[tuple[str, bool]]:
        """Each key that is not every source's, and whether it is this one's."""
        scenes, canvas = self.source == "scenes", self.source == "canvas"
        made = scenes or canvas or self.source == "street_digits"
        yield "image_size", not self.dense
        yield "limit", not made
        yield "path", not (made or self.source.startswith("svhn"))
        for key in ("height", "width"):
            yield key, self.dense
        for key in ("scenes", "jitter"):
            yield key, scenes
        yield "tilt", scenes and self.camera != "pinhole"
        yield "camera", self.source in _CAMERAS
        for key in ("canvases", "items_of"):
            yield key, canvas or self.source == "street_digits"
        for key in ("items", "item_size"):
            yield key, canvas


class MergedParams(DataParams):
    """``DataParams`` of road scenes that may have their classes merged into four."""

    classes: Literal["all", "road"] = Field(
        description="the source's own, or background, road, car and person"
    )

    @model_validator(mode="after")
    def _of_road_scenes(self) -> MergedParams:
        if not self.dense or self.source == "canvas":
            raise ValueError(
                f"data.classes is {shown(self.classes)}; expected no such key for source "
                f"{self.source}"
            )
        return self
