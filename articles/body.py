"""The body of an article as it is stored, signed and printed.

Nobody types ids or names the files of a picture: headings and citations get their ids
here, and a picture is spelled out into all its renditions, so that a sign-off on the
body covers every byte a reader may be given.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from html import unescape

from articles.cleaning import (
    BadContent,
    check_length,
    complaints,
    is_address,
    link_complaint,
    sanitised,
    visible,
)
from articles.markup import Element, escaped, listed, read

# In the order in which a browser should prefer them.
_TYPES = ("image/avif", "image/webp", "image/jpeg")
_SIZES = "(min-width: 42em) 40rem, 100vw"
_PICTURE = re.compile(r"/pictures/([0-9a-f]{64})\.[a-z]+")
_CITATION = re.compile(r"#ref-([1-9][0-9]{0,2})")
_CITED = re.compile(r'<sup class="citation">.*?</sup>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
# Ids the page has already, next to those with an underscore.
_RESERVED = re.compile(r"(ref|cite)(-.*)?|references|when-to-get-help|main")
_INLINE = ("strong", "em", "a", "sup", "sub", "abbr")
_SCOPES = ("row", "col", "rowgroup", "colgroup")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_PASSES = 8


@dataclass(frozen=True)
class Shown:
    """One file of a picture: /pictures/<digest>.<ending>."""

    digest: str
    ending: str
    media_type: str
    width: int
    height: int

    @property
    def path(self) -> str:
        return f"/pictures/{self.digest}.{self.ending}"


# The files of the picture with this digest, the one to fall back on first; empty when
# there is no such picture.
Renditions = Callable[[str], Sequence[Shown]]


def any_picture(digest: str) -> Sequence[Shown]:
    """Takes any digest for a picture with one file of unknown type and size.

    For texts whose pictures were not uploaded. It does not know the renditions of those
    that were, so a body that names them would lose them.
    """
    return [Shown(digest, "", "", 0, 0)]


def prepare_body(html: str, renditions: Renditions = any_picture) -> str:
    """`html` as it will be stored, signed and printed; idempotent.

    A word processor's packaging goes silently, as do empty headings and paragraphs; its
    first-level headings become second-level ones, because the title is the page's
    first, and its fourth and deeper ones third-level ones. Raises BadContent, with
    every problem found, for scripts, forms, foreign pictures and whatever else would
    otherwise vanish.
    """
    check_length(html)
    text = visible(html)
    files = cache(renditions)
    problems = complaints(text)
    for _ in range(_PASSES):
        check_length(text)
        printer = _Printer(files)
        printed = printer.printed(read(text))
        if problems := list(dict.fromkeys([*problems, *printer.problems])):
            raise BadContent(*problems)
        again = sanitised(printed)
        if again == text:
            return again
        text = visible(again)
    raise BadContent("The text's markup is tangled. Paste it as plain text.")


def heading_id(title: str) -> str:
    """The fragment of a heading: lower-case words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", _words(title).lower())) or "part"


def contents(body: str) -> list[dict[str, str]]:
    """The headings of `body` that the list of contents names: {id, title}, as text."""
    return [
        {"id": found[1], "title": _words(found[2])}
        for found in re.finditer(r'<h2 id="([^"]+)">(.*?)</h2>', body, re.DOTALL)
    ]


def citations(body: str) -> set[int]:
    """The numbers of the references that `body` cites."""
    return {int(number) for number in re.findall(r'href="#ref-(\d+)"', body)}


def _words(html: str) -> str:
    return unescape(_TAG.sub("", _CITED.sub("", html))).strip()


class _Printer:
    """Writes HTML with ids and pictures, noting what is wrong with the pictures."""

    def __init__(self, renditions: Renditions) -> None:
        self.problems: list[str] = []
        self._renditions = renditions
        self._ids: dict[str, int] = {}
        self._times_cited: dict[str, int] = {}

    def printed(self, element: Element | str) -> str:
        if isinstance(element, str):
            return escaped(element)
        if element.name == "img":
            return self._picture(element.attributes)
        if element.name == "br":
            return "<br>"
        inside = "".join(self.printed(child) for child in element.inside)
        return self._around(element, inside)

    def _around(self, element: Element, inside: str) -> str:
        if element.name in ("p", "h2", "h3") and not element.has_words():
            return inside if element.has_picture() else ""
        if _is_only_packaging(element):
            return inside
        attributes = self._attributes(element, inside)
        return f"<{element.name}{listed(attributes)}>{inside}</{element.name}>"

    def _attributes(self, element: Element, inside: str) -> dict[str, str]:
        given = element.attributes
        match element.name:
            case "h2" | "h3":
                return {"id": self._free_id(heading_id(inside))}
            case "a":
                return self._link(given["href"].strip())
            case "sup" if given.get("class") == "citation":
                return {"class": "citation"}
            case "abbr" if given.get("title", "").strip():
                return {"title": given["title"].strip()}
            case "ol" | "td" | "th":
                return {name: given[name] for name in given if _is_layout(name, given)}
        return {}

    def _free_id(self, wanted: str) -> str:
        base = f"part-{wanted}" if _RESERVED.fullmatch(wanted) else wanted
        name, count = base, self._ids.get(base, 1)
        while name in self._ids:
            count += 1
            name = f"{base}-{count}"
        self._ids[name] = 1
        self._ids[base] = count
        return name

    def _link(self, href: str) -> dict[str, str]:
        if not is_address(href):
            self.problems.append(link_complaint(href))
        cited = _CITATION.fullmatch(href)
        if cited is None:
            return {"href": href}
        times = self._times_cited.get(cited[1], 0) + 1
        self._times_cited[cited[1]] = times
        return {"href": href, "id": f"cite-{cited[1]}-{times}"}

    def _picture(self, given: dict[str, str]) -> str:
        source = given.get("src", "").strip()
        named = _PICTURE.fullmatch(source)
        files = self._renditions(named[1]) if named else []
        if named is None:
            self.problems.append(
                "A picture must come from this site's own pictures. Upload it first."
            )
        elif not files:
            self.problems.append(f"There is no picture {source}. Upload it again.")
        alt = given.get("alt", " ")
        if alt and not alt.strip():
            self.problems.append(
                "A picture needs alt text: say what it shows, or choose “decorative”."
            )
        return _picture(source, alt.strip(), given, files)


def _is_only_packaging(element: Element) -> bool:
    """Whether only what is inside counts."""
    if element.name in ("", "picture", "source"):
        return True
    if element.name == "a" and not element.attributes.get("href", "").strip():
        return True
    return element.name in _INLINE and not (
        element.has_words() or element.has_picture()
    )


def _is_layout(name: str, given: dict[str, str]) -> bool:
    if name == "scope":
        return given[name] in _SCOPES
    return bool(_NUMBER.fullmatch(given[name]))


def _picture(
    source: str, alt: str, given: dict[str, str], files: Sequence[Shown]
) -> str:
    """One file stays as it was placed; several become a choice for the browser."""
    image = {"src": source, "alt": alt}
    if len(files) > 1:
        image["src"] = files[0].path
        size = {"width": str(files[0].width), "height": str(files[0].height)}
        image |= {**size, "loading": "lazy", "decoding": "async"}
        return f"<picture>{_sources(files)}<img{listed(image)}></picture>"
    if files and files[0].ending:
        image["src"] = files[0].path
    sizes = ("width", "height")
    image |= {
        name: given[name] for name in sizes if _NUMBER.fullmatch(given.get(name, ""))
    }
    return f"<img{listed(image)}>"


def _sources(files: Sequence[Shown]) -> str:
    """A source for each type of which there is more than the file to fall back on."""
    written = ""
    for media_type in _TYPES:
        found = sorted(
            (one for one in files if one.media_type == media_type),
            key=lambda one: one.width,
        )
        if found and found != [files[0]]:
            choice = ", ".join(f"{one.path} {one.width}w" for one in found)
            attributes = {"type": media_type, "srcset": choice, "sizes": _SIZES}
            written += f"<source{listed(attributes)}>"
    return written
