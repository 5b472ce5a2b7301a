"""Pixels come out as they went in; what is no image is one line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocore.data.sources.decode import decode, header, resize
from geocore.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def png(image: Image.Image, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG", **options)
    return sink.getvalue()


def test_grey_and_colour_come_back_exactly(tmp_path: Path) -> None:
    grey, colour = png(Image.fromarray(GREY)), png(Image.fromarray(COLOUR))
    assert header(grey, "x") == (5, 7, 1)
    assert str(header(grey, "x")) == "7 x 5 pixels"
    assert header(colour, "x") == (5, 7, 3)
    assert np.array_equal(decode(grey, "x", 1)[..., 0], GREY)
    assert np.array_equal(decode(colour, "x", 3), COLOUR)
    assert np.array_equal(decode(grey, "x", 3), np.repeat(GREY[..., np.newaxis], 3, axis=2))
    (tmp_path / "a.png").write_bytes(colour)
    assert np.array_equal(decode(tmp_path / "a.png", "x", 3), COLOUR)


def test_colour_is_never_made_grey() -> None:
    with pytest.raises(UserError, match=r"^x: a colour image; expected a grey one as the first is"):
        decode(png(Image.fromarray(COLOUR)), "x", 1)


def test_transparency_is_dropped_and_palettes_are_colours() -> None:
    alpha = np.dstack([COLOUR, RNG.integers(0, 256, (5, 7), np.uint8)])
    assert np.array_equal(decode(png(Image.fromarray(alpha)), "x", 3), COLOUR)
    flat = Image.fromarray(np.repeat(COLOUR[:1, :1], 4, axis=0)).convert(
        "P", palette=Image.Palette.ADAPTIVE
    )
    assert header(png(flat), "x").channels == 3
    assert np.array_equal(decode(png(flat), "x", 3)[0, 0], COLOUR[0, 0])


def test_bits_become_black_and_white() -> None:
    image = Image.fromarray(GREY > 127)
    assert np.array_equal(decode(png(image), "x", 1)[..., 0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_read_as_they_are_looked_at(orientation: int) -> None:
    upright = {
        1: COLOUR, 2: COLOUR[:, ::-1], 3: COLOUR[::-1, ::-1], 4: COLOUR[::-1],
        5: COLOUR.swapaxes(0, 1), 6: np.rot90(COLOUR, -1),
        7: np.rot90(COLOUR, 2).swapaxes(0, 1), 8: np.rot90(COLOUR),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = png(Image.fromarray(COLOUR), exif=exif)
    assert header(data, "x")[:2] == upright.shape[:2]
    assert np.array_equal(decode(data, "x", 3), upright)


def test_16_bits_are_refused() -> None:
    data = png(Image.fromarray(GREY.astype(np.uint16) * 257))
    with pytest.raises(UserError) as caught:
        header(data, "x.png")
    assert str(caught.value) == "x.png: mode is I;16; expected 8-bit grey or colour"


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image(data: bytes) -> None:
    for read in (lambda: header(data, "x.png"), lambda: decode(data, "x.png", 1)):
        with pytest.raises(UserError) as caught:
            read()
        line = "broken image (its bytes are no image); expected one that can be read"
        assert str(caught.value) == f"x.png: {line}"


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_damage_is_one_line_or_pixels(form: str) -> None:
    sink = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (32, 32, 3), np.uint8)).save(sink, form)
    whole = sink.getvalue()
    for at in range(0, len(whole), 11):
        flipped = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
        for data in (whole[:at], flipped):
            try:
                header(data, "x")
                decode(data, "x", 3)
            except UserError as error:
                assert len(error.lines) == 1
    with pytest.raises(UserError, match=r"^x: broken image \(.*[Tt]runcated.*\); expected one"):
        decode(whole[: len(whole) // 2], "x", 3)


def test_resizing_keeps_constants_and_means() -> None:
    assert resize(np.full((9, 5, 3), 77, np.uint8), 4).tolist() == [[[77] * 3] * 4] * 4
    ramp = np.arange(64, dtype=np.uint8)[np.newaxis, :, np.newaxis].repeat(64, axis=0)
    small = resize(ramp, 8)[..., 0].astype(float)
    # A linear function stays linear, its values those at the centres of the new pixels.
    assert np.abs(small[:, 1:-1] - (np.arange(1, 7) * 8 + 3.5)).max() <= 0.5
    assert np.array_equal(resize(ramp, 64), ramp)


def test_resizing_is_antialiased() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., np.newaxis]
    small = resize(board, 8).astype(float)  # picking pixels would give 0 and 255
    assert np.abs(small - 127.5).max() < 8
