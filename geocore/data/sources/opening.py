"""From ``params.yaml``'s ``data`` section to an open source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from geocore.config.data import DataParams
from geocore.data.sources.base import Source
from geocore.data.sources.home import locate

__all__ = ["open_source"]


def open_source(
    params: DataParams,
    root: Path,
    data_home: Path | None,
    say: Callable[[str], None] = lambda line: None,
) -> Source:
    """The source that ``params`` name, checked, its images of ``params.image_size`` if that is set.

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

    source: Source
    if params.source == "digits":
        from geocore.data.sources.digits import Digits

        source = Digits()
    else:
        from geocore.data.sources.fashion_mnist import FASHION_MNIST
        from geocore.data.sources.idx import IdxImages
        from geocore.data.sources.mnist import MNIST

        about = MNIST if params.source == "mnist" else FASHION_MNIST
        source = IdxImages(about, root / "data" / "downloads", data_home, say)
    if params.image_size is None:
        return source
    from geocore.data.sources.resized import Resized

    return Resized(source, params.image_size)
