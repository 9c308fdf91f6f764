"""Sanitised HTML as a tree, in the elements this site's texts are made of."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from articles.cleaning import BadContent, sanitised, tidy

# What editors' tools write, and what it means here. The page's title is its h1.
MEANT = {
    "b": "strong",
    "i": "em",
    "h1": "h2",
    **dict.fromkeys(("h4", "h5", "h6"), "h3"),
    **dict.fromkeys(("div", "section", "article", "address", "pre", "dt", "dd"), "p"),
}
_VOID = ("br", "img", "source")
_DEEPEST = 60


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    inside: list["Element | str"] = field(default_factory=list)

    def has_words(self) -> bool:
        return any(
            child.strip() if isinstance(child, str) else child.has_words()
            for child in self.inside
        )

    def has_picture(self) -> bool:
        return self.name == "img" or any(
            child.has_picture() for child in self.inside if isinstance(child, Element)
        )


class _Reader(HTMLParser):
    """Reads what `sanitised` wrote, where every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len(self.open) > _DEEPEST:
            raise BadContent("The text is nested too deeply. Paste it as plain text.")
        attributes = {name: tidy(value or "") for name, value in attrs}
        element = Element(_meant(tag, attributes), attributes)
        self.open[-1].inside.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        # A solidus in front would melt into the > before it, see cleaning.visible.
        self.open[-1].inside.append(tidy(data).lstrip("\u0338"))


def _meant(tag: str, attributes: dict[str, str]) -> str:
    # Google Docs wraps everything that is copied in such a <b>.
    if tag == "b" and "font-weight:normal" in attributes.get("style", ""):
        return ""
    return MEANT.get(tag, tag)


def read(html: str) -> Element:
    foreign: dict[str, set[str]] = {name: set() for name in MEANT}
    reader = _Reader()
    reader.feed(sanitised(html, also={**foreign, "b": {"style"}}))
    reader.close()
    return reader.open[0]


def listed(attributes: dict[str, str]) -> str:
    return "".join(
        f' {name}="{escaped(value, quote=True)}"' for name, value in attributes.items()
    )


def escaped(text: str, *, quote: bool = False) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = safe.replace("\xa0", "&nbsp;")
    return safe.replace('"', "&quot;") if quote else safe
