"""The text of an article, format article/1: all a reader can see of the text itself.

    format      "article/1"
    title, summary
    key_points  [text]
    body        HTML: sanitised, headings and citations with ids; printed as it is
    care_cards  [{level, heading, items [text], closing, cites [number]}]
    references  [{number, publisher, title, url, year, doi, pmid}]

Pictures are in the body by their digest, so their bytes are covered too. Section, slug,
aliases, read next, byline and templates are furniture and stand outside.
"""

import re
from typing import Any

import nh3

FORMAT = "article/1"
CARE_LEVELS = ("emergency", "urgent", "non-urgent")

_TAGS = {
    *("h2", "h3", "p", "ul", "ol", "li", "strong", "em", "a", "sup", "sub", "br"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"),
    *("blockquote", "abbr"),
}
_ATTRIBUTES = {
    "a": {"href", "id"},
    "h2": {"id"},
    "h3": {"id"},
    "img": {"src", "alt", "width", "height"},
    "th": {"scope", "colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
    "abbr": {"title"},
    "ol": {"start"},
}
_CLASSES = {"sup": {"citation"}}
_PICTURE = re.compile(r"/pictures/[0-9a-f]{64}\.[a-z]+")
_HEADING = re.compile(r"<(h[23])(?: id=\"[^\"]*\")?>(.*?)</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


class BadContent(ValueError):
    """The text can't become a revision; the message says what to mend."""


def prepare_body(html: str) -> str:
    """`html` as it will be stored, signed and printed; idempotent.

    Scripts, styles, unknown tags and links other than https, relative and #fragment
    go; headings get ids. Raises BadContent for a picture without alt text or from
    elsewhere.
    """
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes={"https"},
        link_rel=None,
        strip_comments=True,
    )
    _check_pictures(clean)
    return _with_heading_ids(clean)


def _check_pictures(html: str) -> None:
    for tag in re.findall(r"<img[^>]*>", html):
        source = re.search(r'src="([^"]*)"', tag)
        if source is None or not _PICTURE.fullmatch(source[1]):
            raise BadContent("A picture must come from this site's own pictures.")
        if 'alt="' not in tag:
            raise BadContent("A picture needs alt text (or an empty one: decorative).")


def _with_heading_ids(html: str) -> str:
    seen: set[str] = set()

    def numbered(match: re.Match[str]) -> str:
        base = heading_id(match[2])
        name, count = base, 1
        while name in seen:
            count += 1
            name = f"{base}-{count}"
        seen.add(name)
        return f'<{match[1]} id="{name}">{match[2]}</{match[1]}>'

    return _HEADING.sub(numbered, html)


def heading_id(title: str) -> str:
    """The fragment of a heading: lower-case words joined by hyphens."""
    words = re.findall(r"[a-z0-9]+", _TAG.sub("", title).lower())
    return "-".join(words) or "part"


def contents(body: str) -> list[dict[str, str]]:
    """The headings of `body` that the list of contents names: {id, title}."""
    return [
        {"id": found[1], "title": _TAG.sub("", found[2])}
        for found in re.finditer(r'<h2 id="([^"]+)">(.*?)</h2>', body, re.DOTALL)
    ]


def checked(content: dict[str, Any]) -> dict[str, Any]:
    """`content` with its body prepared. Raises BadContent with what is missing."""
    for field in ("title", "summary"):
        if not str(content.get(field, "")).strip():
            raise BadContent(f"The {field} is missing.")
    for card in content.get("care_cards", []):
        if card["level"] not in CARE_LEVELS:
            raise BadContent(f"{card['level']!r} is no level of care.")
    return {**content, "format": FORMAT, "body": prepare_body(content["body"])}
