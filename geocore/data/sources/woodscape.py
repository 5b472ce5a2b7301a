"""WoodScape, SynWoodScape, and scenes in their folder format: fisheye images of one camera.

Yogamani et al. (2019) and Sekkat et al. (2022). Neither may be handed on, so neither is
downloaded: https://github.com/valeoai/WoodScape says how to get them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from geocore.data.sources.base import Rows
from geocore.data.sources.decode import decode, header
from geocore.data.sources.dense import DenseSource, Frame, check_label
from geocore.data.sources.masks import read_mask
from geocore.data.sources.reduce import area_mean, containing
from geocore.data.sources.woodscape_files import WoodscapeFiles, class_names
from geocore.errors import UserError
from geocore.runs.digest import digest_file, digest_json

__all__ = ["ORIGIN", "WoodScape"]

ORIGIN = "https://github.com/valeoai/WoodScape"

_FAR = 1000.0  # metres: the simulator's far plane, which the sky lies on


class WoodScape(DenseSource):
    """The images of ``camera`` (``FV``, ``RV``, ``MVL`` or ``MVR``) in ``folder``.

    Files are found by ``WoodscapeFiles``. The samples of a table share one camera model: where
    the vehicles' cameras differ by more than half a pixel, those of the model that most images
    have are taken (``left_out`` counts the others). ``poses`` are pitch and roll: the upright
    camera has the heading of the image's own axis and its axis level.

    ``size`` (height, width) reduces images by area, labels and depth by containing pixel, and the
    camera with them. Depth at or beyond 1000 m is sky, and becomes 0. Opening reads every
    calibration and every header; a ``UserError`` names the file that is missing, broken, of
    another size than calibrated, or whose labels hold an unknown class.
    """

    name = "woodscape"

    def __init__(self, folder: Path, camera: str, size: tuple[int, int] | None = None) -> None:
        # Here, so that a source can be named without importing torch.
        from geocore.camera.calibration import read_calibration
        from geocore.camera.lens import valid_pixels
        from geocore.camera.record import camera_to_dict
        from geocore.data.sources.woodscape_cameras import largest_group, upright_pose

        files = WoodscapeFiles.find(folder, camera)
        self.classes = class_names(files)
        calibrations = [
            read_calibration(files.calibration(path), header(path, str(path))[:2])
            for path in files.images
        ]
        lens, rows = largest_group([calibration.camera for calibration in calibrations], size)
        self.left_out = len(files.images) - len(rows)
        self._files, self._images = files, [files.images[row] for row in rows]
        self.poses = np.array([upright_pose(calibrations[row].pose.rotation) for row in rows])
        self.shape = (lens.height, lens.width, 3)
        self.camera = camera_to_dict(lens)
        self._valid = valid_pixels(lens).numpy()
        self.splits = None
        contents = {
            path.relative_to(folder).as_posix(): digest_file(path)
            for image in self._images
            for path in files.of(image)
        }
        self.digest = digest_json({"classes": list(self.classes), "files": contents})

    def __len__(self) -> int:
        return len(self._images)

    def frames(self, rows: Rows) -> Iterator[Frame]:
        height, width, _ = self.shape
        for row in rows:
            path = self._images[row]
            annotation, depth = self._files.label(path), self._files.depth(path)
            image, label = decode(path, str(path), 3), read_mask(annotation)
            _same_size(label, image, annotation, path)
            last = len(self.classes) - 1
            check_label(label, last + 1, f"0 to {last} ({self.classes[last]})", str(annotation))
            metres = None
            if depth is not None:
                metres = _read_depth(depth)
                _same_size(metres, image, depth, path)
                metres = containing(metres, height, width)
            image = area_mean(image, height, width)
            yield Frame(image, containing(label, height, width), self._valid, metres)


def _same_size(plane: npt.NDArray[np.generic], image: np.ndarray, where: Path, path: Path) -> None:
    if plane.shape != image.shape[:2]:
        found = " x ".join(str(side) for side in plane.shape[::-1])
        raise UserError(
            f"{where}: {found} pixels; expected {image.shape[1]} x {image.shape[0]} as {path.name}"
        )


def _read_depth(path: Path) -> npt.NDArray[np.float32]:
    """Metres along the ray; 0 for the sky, and for what has no depth."""
    try:  # mapped, so that a header that claims more than the file holds reserves nothing
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a reader meets damage with whatever it then stumbles over
        reason = str(error).splitlines()[0][:80] if str(error) else "no content"
        raise UserError(f"{path}: broken ({reason}); expected an array of depths") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        held = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
        raise UserError(f"{path}: holds {held}; expected an array of depths in metres")
    metres = found.astype(np.float32)
    if not (metres >= 0).all():
        raise UserError(f"{path}: a depth is negative or not a number; expected metres")
    return np.where(metres < _FAR, metres, np.float32(0))
