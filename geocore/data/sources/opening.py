"""From ``params.yaml``'s ``data`` section to an open source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocore.config.data import DataParams, MergedParams
from geocore.data.sources.base import Samples, Source
from geocore.data.sources.dense import DenseSource
from geocore.data.sources.home import known_set, locate

__all__ = ["open_source"]


def open_source(
    params: DataParams,
    root: Path,
    data_home: Path | None,
    say: Callable[[str], None] = lambda line: None,
) -> Samples:
    """The source that ``params`` name, checked, its images of the size that they give, if they do.

    ``root`` is the repository: own data is looked for there, downloads go to ``data/downloads``.
    ``data_home`` is the folder of data at hand (``geocore.data.sources.home``). ``say`` is told
    what takes long. Raises ``UserError`` for data that are missing or broken.
    """
    # Each source imports what it needs (Pillow, scikit-learn), and only when it is asked for.
    if params.source == "image_folder":
        from geocore.data.sources.image_folder import ImageFolder

        folder = locate(params.path, params.source, root, data_home)
        return ImageFolder(folder, params.image_size)
    if params.source == "parquet_images":
        from geocore.data.sources.parquet_images import ParquetImages

        folder = locate(params.path, params.source, root, data_home)
        return ParquetImages(folder, params.image_size)

    if params.dense:
        dense = _dense(params, root, data_home, say)
        if not isinstance(params, MergedParams) or params.classes == "all":
            return dense
        from geocore.data.sources.merged import Merged

        return Merged(dense)

    if params.source == "street_digits":
        source = _street_digits(params, root, data_home, say)
    else:
        source = _known(params.source, root, data_home, say)
    if params.image_size is None:
        return source
    from geocore.data.sources.resized import Resized

    return Resized(source, params.image_size)


def _known(name: str, root: Path, data_home: Path | None, say: Callable[[str], None]) -> Source:
    """``digits``, ``mnist``, ``fashion_mnist`` or ``svhn``, with a class an image."""
    if name == "digits":
        from geocore.data.sources.digits import Digits

        return Digits()
    if name in ("svhn", "svhn_extra"):
        from geocore.data.sources.svhn import open_svhn

        return open_svhn(root / "data" / "downloads", data_home, say, extra=name == "svhn_extra")
    from geocore.data.sources.fashion_mnist import FASHION_MNIST
    from geocore.data.sources.idx import IdxImages
    from geocore.data.sources.mnist import MNIST

    about = MNIST if name == "mnist" else FASHION_MNIST
    return IdxImages(about, root / "data" / "downloads", data_home, say)


def _dense(
    params: DataParams, root: Path, data_home: Path | None, say: Callable[[str], None]
) -> DenseSource:
    """The source with a class a pixel that ``params`` name."""
    size = None
    if params.height is not None and params.width is not None:
        size = (params.height, params.width)
    if params.source == "camvid":
        from geocore.data.sources.camvid import ORIGIN, CamVid

        return CamVid(known_set(params.path, "camvid", root, data_home, ORIGIN), size)
    if params.source == "cityscapes":
        from geocore.data.sources import cityscapes

        folder = known_set(params.path, "cityscapes", root, data_home, cityscapes.ORIGIN)
        return cityscapes.Cityscapes(folder, size)
    if params.source == "woodscape":
        from geocore.data.sources import woodscape

        folder = known_set(params.path, "woodscape", root, data_home, woodscape.ORIGIN)
        images = woodscape.WoodScape(folder, params.camera or "", size)
        if images.left_out:
            say(
                f"woodscape: {len(images)} images of {params.camera} share a camera; "
                f"{images.left_out} of other cameras are left out"
            )
        return images
    if params.source == "canvas":
        return _canvas(params, size, root, data_home, say)
    from geocore.data.sources.scenes import PINHOLE_VIEW, Scenes

    if params.scenes is None or size is None:
        raise ValueError(f"params are {params}; expected data.scenes, height and width")
    view = PINHOLE_VIEW if params.camera == "pinhole" else None
    return Scenes(params.scenes, size, params.jitter or 0.0, params.tilt, params.seed, view)


def _canvas(
    params: DataParams,
    size: tuple[int, int] | None,
    root: Path,
    data_home: Path | None,
    say: Callable[[str], None],
) -> DenseSource:
    """Canvases of items that are split as their own source would be."""
    from geocore.data.sources.canvas import Canvas

    if params.items_of is None or params.canvases is None or params.items is None or size is None:
        raise ValueError(f"params are {params}; expected data.canvases, items, height and width")
    items = _known(params.items_of, root, data_home, say)
    parts = _parts(items, params)
    least, most = params.items
    return Canvas(items, parts, params.canvases, size, (least, most), params.item_size, params.seed)


def _street_digits(
    params: DataParams, root: Path, data_home: Path | None, say: Callable[[str], None]
) -> Source:
    """House numbers of digits that are split as their own source would be."""
    from geocore.data.sources.street_digits import StreetDigits

    if params.items_of is None or params.canvases is None:
        raise ValueError(f"params are {params}; expected data.canvases and items_of")
    items = _known(params.items_of, root, data_home, say)
    return StreetDigits(items, _parts(items, params), params.canvases, params.seed)


def _parts(items: Source, params: DataParams) -> npt.NDArray[np.uint8]:
    """The split of each item."""
    from geocore.data.split import make_split

    return make_split(
        items.labels,
        items.splits,
        val_fraction=params.val_fraction,
        test_fraction=params.test_fraction,
        seed=params.seed,
        classes=items.classes,
    )
