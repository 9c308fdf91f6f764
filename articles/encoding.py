"""An uploaded picture as the files that readers' browsers choose from."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms, ImageOps

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
# WebP ends at 16,383 pixels a side.
MAX_SIDE = 16_000
MIN_SIDE = 16
# More than any camera writes; each scan of a progressive JPEG costs a whole decoding.
MAX_SCANS = 100
WIDTHS = (480, 960, 1600)
FALLBACK_WIDTH = 960

_ACCEPTED = ("JPEG", "PNG", "WEBP", "AVIF", "GIF")
# Not MPO: a JPEG in which a phone keeps a depth or brightness map as a second frame.
_MOVING = ("PNG", "WEBP", "AVIF", "GIF")
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HEIC = re.compile(rb"....ftyp(?:hei[cmsx]|hev[cx]|mif1|msf1)", re.DOTALL)
# What Pillow raises for files that lie about themselves.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(EOFError, RuntimeError, struct.error, zlib.error),
)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class BadPicture(ValueError):
    """The upload can't become a picture; the message says what to do."""


@dataclass(frozen=True)
class Format:
    name: str
    media_type: str
    ending: str
    options: dict[str, Any]


JPEG = Format("JPEG", "image/jpeg", "jpg", {"quality": 82, "progressive": True})
WEBP = Format("WEBP", "image/webp", "webp", {"quality": 80, "method": 4})
# One thread and no tiles: otherwise the bytes depend on the machine's processors.
AVIF = Format(
    "AVIF",
    "image/avif",
    "avif",
    {"quality": 65, "speed": 6, "max_threads": 1, "autotiling": False},
)


@dataclass(frozen=True)
class Rendition:
    """One file of a picture, ready to be served."""

    media_type: str
    ending: str
    width: int
    height: int
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal: the file's name."""
        return sha256(self.content).hexdigest()


def encode(upload: bytes) -> list[Rendition]:
    """The picture re-encoded, upright, in sRGB on white, without any metadata.

    The first is the fallback, a JPEG at most 960 pixels wide; then AVIF, WebP and JPEG
    in every width of WIDTHS, never enlarged. The same upload makes the same bytes.
    What the file is called or claims to be doesn't matter. Raises BadPicture.
    """
    picture = _opened(upload)
    _check_size(picture)
    try:
        _check_decoding(picture, upload)
        plain = _plain(picture)
    except BadPicture:
        raise
    except _BROKEN as error:
        raise BadPicture(
            "The picture is damaged or incomplete; export it again as JPEG or PNG."
        ) from error
    return list(_renditions(plain))


def _opened(upload: bytes) -> Image.Image:
    """The picture with only its header read."""
    if not upload:
        raise BadPicture("The file is empty; choose the picture again.")
    if len(upload) > MAX_BYTES:
        raise BadPicture(
            f"The file is {len(upload) / 1024**2:.1f} MB; a picture may have at most "
            "10 MB. Export it smaller or as JPEG."
        )
    try:
        return Image.open(BytesIO(upload), formats=_ACCEPTED)
    except _BOMB as error:
        raise BadPicture(
            "The picture has more than 40 megapixels; export it smaller."
        ) from error
    except _BROKEN as error:
        raise BadPicture(_no_picture(upload)) from error


def _no_picture(upload: bytes) -> str:
    if _SVG.search(upload[:4096]):
        return "SVG can carry scripts; export it as PNG or JPEG."
    if _HEIC.match(upload):
        return "HEIC pictures can't be read here; export it as JPEG."
    return (
        "The file is no picture that can be read here; "
        "export it as JPEG, PNG, WebP, AVIF or GIF."
    )


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadPicture(
            f"The picture has {width * height / 1e6:.0f} megapixels; "
            "export it with at most 40."
        )
    if max(width, height) > MAX_SIDE:
        raise BadPicture(
            f"The picture is {width} × {height} pixels; "
            f"crop it to at most {MAX_SIDE:,} on each side."
        )
    if min(width, height) < MIN_SIDE:
        raise BadPicture(
            f"The picture is {width} × {height} pixels; "
            f"choose one with at least {MIN_SIDE} on each side."
        )


def _check_decoding(picture: Image.Image, upload: bytes) -> None:
    if picture.format in ("JPEG", "MPO") and upload.count(b"\xff\xda") > MAX_SCANS:
        raise BadPicture("The JPEG is made of too many scans; export it again.")
    if picture.format in _MOVING and getattr(picture, "is_animated", False):
        raise BadPicture("Only still pictures; export one frame as PNG or JPEG.")


def _plain(picture: Image.Image) -> Image.Image:
    """RGB, upright, at most as wide as the widest rendition, nothing else in it."""
    profile = picture.info.get("icc_profile")
    # A JPEG can be decoded at a half or a quarter of its size, many times faster.
    picture.draft(None, (max(WIDTHS), max(WIDTHS)))
    picture.load()
    ImageOps.exif_transpose(picture, in_place=True)
    small = _resized(_eight_bits(picture), max(WIDTHS))
    return _on_white(small, profile)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """In a mode that can be resized and has eight bits a channel."""
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode.startswith("I"):
        # Sixteen bits of grey, which `convert` would clip instead of scaling.
        return picture.convert("I").point(lambda grey: grey * (1 / 257)).convert("L")
    if picture.mode in ("L", "RGB", "CMYK"):
        return picture
    return picture.convert("RGB")


def _resized(picture: Image.Image, width: int) -> Image.Image:
    if picture.width <= width:
        return picture
    height = max(1, round(picture.height * width / picture.width))
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _on_white(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """A new picture, so that no comment or profile of the old one is written on."""
    page = Image.new("RGB", picture.size, "white")
    if picture.mode == "RGBA":
        page.paste(_in_srgb(picture.convert("RGB"), profile), picture.getchannel("A"))
    else:
        page.paste(_in_srgb(picture, profile))
    return page


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return picture.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        made = ImageCms.profileToProfile(picture, source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, *_BROKEN):
        # A broken profile, or one for other channels: the numbers are taken as sRGB.
        made = None
    return made or picture.convert("RGB")


def _renditions(plain: Image.Image) -> Iterator[Rendition]:
    fallback = _resized(plain, FALLBACK_WIDTH)
    yield _written(fallback, JPEG)
    widths = dict.fromkeys(min(width, plain.width) for width in WIDTHS)
    for kind in (AVIF, WEBP, JPEG):
        for width in widths:
            if (kind, width) != (JPEG, fallback.width):
                yield _written(_resized(plain, width), kind)


def _written(picture: Image.Image, kind: Format) -> Rendition:
    file = BytesIO()
    picture.save(file, kind.name, **kind.options)
    return Rendition(
        kind.media_type, kind.ending, picture.width, picture.height, file.getvalue()
    )
