"""Whatever is uploaded: a picture of ours comes out, or a sentence that helps."""

import struct
import time
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, ImageOps

from articles.encoding import MAX_BYTES, BadPicture, Rendition, encode

Colour = tuple[int, ...]
RED, BLUE = (200, 20, 20), (20, 20, 200)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def plain(width: int = 64, height: int = 48, colour: Colour = RED) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def half_and_half(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = plain(width, height)
    ImageDraw.Draw(picture).rectangle((width // 2, 0, width, height), fill=BLUE)
    return picture


def shown(rendition: Rendition) -> Image.Image:
    return Image.open(BytesIO(rendition.content)).convert("RGB")


def colour_at(rendition: Rendition, x: float, y: float) -> Colour:
    """The colour at a place given in parts of width and height."""
    picture = shown(rendition)
    found = picture.getpixel((int(picture.width * x), int(picture.height * y)))
    assert isinstance(found, tuple)
    return found


def is_near(one: Colour, other: Colour, distance: int = 12) -> bool:
    return all(abs(a - b) <= distance for a, b in zip(one, other, strict=True))


def png_header(width: int, height: int, behind: bytes = b"") -> bytes:
    """A PNG that says how big it is, and has next to nothing behind that."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(9_000)) + behind)]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + zlib.crc32(kind + data).to_bytes(4)
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_picture_comes_in_three_types_and_three_widths() -> None:
    made = encode(written(half_and_half(2000, 1500), "JPEG"))

    assert [(one.ending, one.width, one.height) for one in made] == [
        ("jpg", 960, 720),
        *[("avif", 480, 360), ("avif", 960, 720), ("avif", 1600, 1200)],
        *[("webp", 480, 360), ("webp", 960, 720), ("webp", 1600, 1200)],
        *[("jpg", 480, 360), ("jpg", 1600, 1200)],
    ]
    for one in made:
        assert shown(one).size == (one.width, one.height)
        assert Image.open(BytesIO(one.content)).get_format_mimetype() == one.media_type
        assert is_near(colour_at(one, 0.25, 0.5), RED)
        assert is_near(colour_at(one, 0.75, 0.5), BLUE)


@pytest.mark.parametrize(("width", "widths"), [(100, [100]), (700, [480, 700])])
def test_nothing_is_enlarged(width: int, widths: list[int]) -> None:
    made = encode(written(plain(width, 100), "PNG"))

    assert made[0].media_type == "image/jpeg"
    assert made[0].width == width
    for media_type in ("image/avif", "image/webp", "image/jpeg"):
        assert sorted(o.width for o in made if o.media_type == media_type) == widths


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
def test_the_five_accepted_types_keep_their_colour(kind: str) -> None:
    (fallback, *_) = encode(written(plain(), kind))

    assert is_near(colour_at(fallback, 0.5, 0.5), RED)


def test_the_same_upload_makes_the_same_bytes() -> None:
    upload = written(Image.effect_noise((700, 500), 80), "PNG")

    assert encode(upload) == encode(upload)
    assert len({one.digest for one in encode(upload)}) == len(encode(upload))


def test_the_digest_names_the_bytes() -> None:
    made = Rendition("image/webp", "webp", 1, 1, b"abc")

    assert made.digest.startswith("ba7816bf8f01cfea414140de5dae2223")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_put_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = half_and_half(2000, 1000)
    expected = source.copy()
    expected.getexif()[0x0112] = orientation
    ImageOps.exif_transpose(expected, in_place=True)

    made = encode(written(source, "JPEG", exif=exif))

    assert made[0].width == min(960, expected.width)
    assert (made[0].width > made[0].height) == (expected.width > expected.height)
    for x, y in ((0.25, 0.25), (0.75, 0.75), (0.25, 0.75)):
        there = (int(expected.width * x), int(expected.height * y))
        colour = expected.getpixel(there)
        assert isinstance(colour, tuple)
        assert is_near(colour_at(made[0], x, y), colour)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_where_and_when_it_was_taken_is_dropped(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 26.0)
    xmp = b"<x:xmpmeta>Secret Author</x:xmpmeta>"
    options: dict[str, Any] = {"exif": exif, "icc_profile": SRGB, "xmp": xmp}
    if kind == "JPEG":
        options["comment"] = b"Secret Comment"
    upload = written(plain(1000, 800), kind, **options)
    assert b"Secret" in upload

    for one in encode(upload):
        assert b"Secret" not in one.content
        for trace in (b"Exif", b"EXIF", b"xmpmeta", b"ICC_PROFILE", b"ICCP"):
            assert trace not in one.content
        picture = Image.open(BytesIO(one.content))
        assert not picture.getexif()
        assert not {"icc_profile", "xmp", "comment", "exif"} & set(picture.info)


def test_a_script_behind_the_picture_is_gone() -> None:
    upload = written(plain(), "GIF") + b"<script>alert(1)</script>"

    for one in encode(upload):
        assert b"<script" not in one.content


def test_what_is_transparent_becomes_white() -> None:
    seen_through = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    half = Image.new("RGBA", (64, 64), (0, 0, 0, 128))

    assert is_near(colour_at(encode(written(seen_through, "PNG"))[0], 0, 0), (255,) * 3)
    assert is_near(colour_at(encode(written(half, "WEBP"))[0], 0.5, 0.5), (127,) * 3)


def test_a_palette_with_a_transparent_colour_becomes_white() -> None:
    picture = Image.new("P", (64, 64), 1)
    picture.putpalette([0, 0, 0, 200, 20, 20])
    upload = written(picture, "PNG", transparency=1)

    assert is_near(colour_at(encode(upload)[0], 0.5, 0.5), (255,) * 3)


def test_print_colours_become_screen_colours() -> None:
    upload = written(plain().convert("CMYK"), "JPEG")

    assert is_near(colour_at(encode(upload)[0], 0.5, 0.5), RED, 20)


def test_other_colour_spaces_become_srgb() -> None:
    red_is_blue = SRGB.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ")
    profile = red_is_blue.replace(b"....", b"bXYZ")
    upload = written(plain(), "PNG", icc_profile=profile)

    assert is_near(colour_at(encode(upload)[0], 0.5, 0.5), BLUE)


@pytest.mark.parametrize("profile", [b"no profile", SRGB[:200]])
def test_a_broken_colour_profile_is_ignored(profile: bytes) -> None:
    upload = written(plain(), "PNG", icc_profile=profile)

    assert is_near(colour_at(encode(upload)[0], 0.5, 0.5), RED)


@pytest.mark.parametrize("mode", ["I;16", "L", "LA"])
def test_grey_stays_as_bright_as_it_was(mode: str) -> None:
    picture = Image.new("L", (64, 64), 192).convert(mode)
    if mode == "I;16":
        picture = Image.new(mode, (64, 64), 0xC000)
    upload = written(picture, "PNG")

    assert is_near(colour_at(encode(upload)[0], 0.5, 0.5), (192,) * 3, 3)


def test_a_picture_of_two_frames_from_a_phone_is_still() -> None:
    depth_map = plain(32, 24, BLUE)
    upload = written(plain(), "MPO", save_all=True, append_images=[depth_map])

    assert is_near(colour_at(encode(upload)[0], 0.5, 0.5), RED)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_it_refuses_what_moves(kind: str) -> None:
    upload = written(plain(), kind, save_all=True, append_images=[plain(colour=BLUE)])

    with pytest.raises(BadPicture, match="Only still pictures"):
        encode(upload)


@pytest.mark.parametrize(
    "head",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x --><SVG viewBox="0 0 1 1"/>',
    ],
)
def test_it_refuses_drawings_that_can_carry_scripts(head: bytes) -> None:
    with pytest.raises(BadPicture, match="SVG can carry scripts; export it as PNG"):
        encode(head)


@pytest.mark.parametrize(
    "upload",
    [
        b"%PDF-1.7\n1 0 obj",
        b"<!doctype html><title>x</title>",
        b"GIF89",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"BM" + bytes(100),
        b"II*\x00" + bytes(100),
        b"\x00" * 4096,
    ],
)
def test_it_refuses_what_is_no_picture(upload: bytes) -> None:
    with pytest.raises(BadPicture, match="no picture that can be read here"):
        encode(upload)


def test_it_says_what_to_do_with_a_phones_heic() -> None:
    with pytest.raises(BadPicture, match="HEIC .* export it as JPEG"):
        encode(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100))


def test_it_refuses_an_empty_file() -> None:
    with pytest.raises(BadPicture, match="empty"):
        encode(b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_it_refuses_a_truncated_file(kind: str) -> None:
    whole = written(Image.effect_noise((300, 300), 90).convert("RGB"), kind)

    with pytest.raises(BadPicture, match=r"damaged or incomplete|no picture"):
        encode(whole[: len(whole) * 2 // 3])


def test_it_refuses_more_than_10_megabytes() -> None:
    with pytest.raises(BadPicture, match=r"10\.0 MB; .* at most 10 MB"):
        encode(written(plain(), "JPEG") + bytes(MAX_BYTES))


@pytest.mark.parametrize("size", [(50_000, 50_000), (10_000, 9_000), (7_000, 6_000)])
def test_it_refuses_a_bomb_by_its_header(size: tuple[int, int]) -> None:
    start = time.perf_counter()

    with pytest.raises(BadPicture, match="megapixels; export it"):
        encode(png_header(*size))

    assert time.perf_counter() - start < 0.1


def test_it_refuses_a_jpeg_whose_scans_would_take_for_ever() -> None:
    upload = written(plain(), "JPEG", progressive=True)
    last = upload.rindex(b"\xff\xda")

    with pytest.raises(BadPicture, match="too many scans"):
        encode(upload[:-2] + upload[last:-2] * 200 + upload[-2:])


@pytest.mark.parametrize(
    ("size", "complaint"),
    [((15, 400), "at least 16"), ((1, 1), "at least 16"), ((20, 17_000), "16,000")],
)
def test_it_refuses_what_is_too_small_or_too_long(
    size: tuple[int, int], complaint: str
) -> None:
    with pytest.raises(BadPicture, match=complaint):
        encode(written(plain(*size), "PNG"))


SOURCES = [
    written(half_and_half(40, 30), "JPEG", icc_profile=SRGB, comment=b"x"),
    written(half_and_half(40, 30), "JPEG", progressive=True),
    written(half_and_half(40, 30), "WEBP", lossless=True),
    *[written(half_and_half(40, 30), kind) for kind in ("PNG", "GIF", "WEBP", "AVIF")],
]


# Pillow warns about some of the damage; production only logs that.
@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(deadline=None)
@given(st.sampled_from(SOURCES), st.data())
def test_a_damaged_file_is_a_picture_or_refused(
    upload: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(upload)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))

    with suppress(BadPicture):
        assert encode(bytes(damaged))[0].media_type == "image/jpeg"
