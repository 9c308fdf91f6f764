"""Library files (docs/library.md) as contents of revisions."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

_CITATION = re.compile(r"\[\^([a-z0-9-]+)\]")
_FIGURE = re.compile(r'<p><img src="([^"]*)" alt="([^"]*)" title="([^"]*)" ?/?></p>')
_VIEW_BOX = re.compile(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')


class BadFile(ValueError):
    """The file can't be read as a library text; the message names file and fault."""


@dataclass(frozen=True)
class Figure:
    """A drawing the text shows, named by the SHA-256 of its bytes."""

    digest: str
    content: bytes
    width: int
    height: int


@dataclass(frozen=True)
class LibraryArticle:
    slug: str
    section: str
    kind: str
    aliases: list[str]
    codes: list[str]
    read_next: list[str]
    content: dict[str, Any]
    figures: list[Figure]


def split(path: Path) -> tuple[dict[str, Any], str]:
    """TOML front matter and Markdown body. Raises BadFile."""
    parts = path.read_text(encoding="utf-8").split("+++\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise BadFile(f"{path.name}: the front matter between two +++ lines is missing")
    try:
        return tomllib.loads(parts[1]), parts[2]
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"{path.name}: {error}") from error


def read_article(path: Path) -> LibraryArticle:
    """One article's file, its figures included. Raises BadFile."""
    fields, markdown = split(path)
    try:
        numbers = _numbered(fields, markdown)
        html, figures = _html(markdown, numbers, path)
        content = {
            "title": fields["title"],
            "summary": fields["summary"],
            "key_points": fields.get("key_points", []),
            "body": html,
            "care_cards": [_card(one, numbers) for one in fields.get("care", [])],
            "references": _references(fields, numbers),
        }
        return LibraryArticle(
            slug=path.stem,
            section=fields["section"],
            kind=fields["kind"],
            aliases=fields.get("aliases", []),
            codes=fields.get("codes", []),
            read_next=fields.get("read_next", []),
            content=content,
            figures=figures,
        )
    except KeyError as error:
        raise BadFile(f"{path.name}: {error} is missing or unknown") from error


def _numbered(fields: dict[str, Any], markdown: str) -> dict[str, int]:
    """Reference numbers by tag: as first cited, the body before the care cards."""
    known = {reference["tag"] for reference in fields.get("references", [])}
    cited = _CITATION.findall(markdown)
    cited += [tag for card in fields.get("care", []) for tag in card.get("cites", [])]
    order = list(dict.fromkeys(cited))
    if unknown := set(order) - known:
        raise KeyError(f"reference {min(unknown)}")
    return {tag: number for number, tag in enumerate(order, 1)}


def _references(
    fields: dict[str, Any], numbers: dict[str, int]
) -> list[dict[str, Any]]:
    names = ("publisher", "title", "url", "year", "doi", "pmid")
    found = [
        {"number": numbers[one["tag"]], **{name: one.get(name, "") for name in names}}
        for one in fields.get("references", [])
        if one["tag"] in numbers
    ]
    return sorted(found, key=lambda one: one["number"])


def _card(card: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "level": card["level"],
        "heading": card["heading"],
        "items": card["items"],
        "closing": card.get("closing", ""),
        "cites": sorted(numbers[tag] for tag in card.get("cites", [])),
    }


def _html(
    markdown: str, numbers: dict[str, int], path: Path
) -> tuple[str, list[Figure]]:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    figures: list[Figure] = []
    html = _FIGURE.sub(_figure_tag(path, figures), parser.render(markdown))
    return _CITATION.sub(_citation_tag(numbers), html), figures


def _citation_tag(numbers: dict[str, int]) -> Callable[[re.Match[str]], str]:
    times: dict[int, int] = {}

    def tag(match: re.Match[str]) -> str:
        number = numbers[match[1]]
        times[number] = times.get(number, 0) + 1
        anchor = f"cite-{number}-{times[number]}"
        link = f'<a href="#ref-{number}" id="{anchor}">{number}</a>'
        return f'<sup class="citation">{link}</sup>'

    return tag


def _figure_tag(path: Path, figures: list[Figure]) -> Callable[[re.Match[str]], str]:
    def tag(match: re.Match[str]) -> str:
        figure = read_figure(path.parent / unescape(match[1]))
        figures.append(figure)
        source = f"/pictures/{figure.digest}.svg"
        size = f'width="{figure.width}" height="{figure.height}"'
        picture = f'<img src="{source}" alt="{match[2]}" {size}>'
        return f"<figure>{picture}<figcaption>{match[3]}</figcaption></figure>"

    return tag


def read_figure(path: Path) -> Figure:
    """One of the library's own drawings. Raises BadFile for a script in it."""
    if not path.is_file():
        raise BadFile(f"{path.name}: there is no such figure")
    content = path.read_bytes()
    text = content.decode("utf-8")
    box = _VIEW_BOX.search(text)
    if box is None or "<script" in text or re.search(r"\son[a-z]+=", text):
        raise BadFile(f"{path.name}: no drawing with a viewBox and without scripts")
    width, height = round(float(box[1])), round(float(box[2]))
    return Figure(sha256(content).hexdigest(), content, width, height)
