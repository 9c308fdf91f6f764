"""What tests of articles' texts share: an article, pictures, a browser's eye."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from articles.cleaning import ATTRIBUTES, TAGS, is_address
from articles.content import Shown

DIGEST = "a" * 64
PICTURE = f"/pictures/{DIGEST}.svg"
PHOTOGRAPH = f"/pictures/{DIGEST}.jpg"
TEXT: dict[str, Any] = {
    "title": "Muscle twitching",
    "summary": "Mostly harmless.",
    "body": "<p>Take 5 mg.</p>",
}
CARD: dict[str, Any] = {"level": "urgent", "heading": "See a doctor", "items": ["now"]}
REFERENCE: dict[str, Any] = {"number": 1, "title": "A study"}


def of_a_photograph(asked: str) -> list[Shown]:
    """The files of PHOTOGRAPH, the only picture that is asked for."""
    assert asked == DIGEST
    return [
        Shown(DIGEST, "jpg", "image/jpeg", 960, 640),
        Shown("b" * 64, "avif", "image/avif", 960, 640),
        Shown("c" * 64, "avif", "image/avif", 480, 320),
        Shown("d" * 64, "webp", "image/webp", 480, 320),
        Shown("e" * 64, "jpg", "image/jpeg", 480, 320),
    ]


def of_a_drawing(asked: str) -> list[Shown]:
    return [Shown(asked, "svg", "image/svg+xml", 340, 340)]


def of_nothing(asked: str) -> list[Shown]:
    return []


class Outline(HTMLParser):
    """What a browser would make of it: elements, attributes, text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", {}))


def unexpected(html: str) -> Iterator[str]:
    """Elements, attributes and addresses an article's body can't have."""
    outline = Outline()
    outline.feed(html)
    outline.close()
    for tag, attributes in outline.found:
        if tag not in TAGS:
            yield tag
        for name, value in attributes.items():
            if name not in ATTRIBUTES.get(tag, ()) and (tag, name, value) != (
                "sup",
                "class",
                "citation",
            ):
                yield f"{tag} {name}"
            if name == "href" and not is_address(value):
                yield value
            if name == "src" and not value.startswith(f"/pictures/{DIGEST}"):
                yield value
            if name == "id" and not re.fullmatch(r"[a-z0-9-]+", value):
                yield value
