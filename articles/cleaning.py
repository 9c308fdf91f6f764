"""What may stand in the text of an article, and how anything else is told apart.

Word processors' packaging (styles, classes, spans, comments) goes silently, because
nobody misses it. What would take words or links away with it is refused with a sentence
instead. Neither judgement keeps readers safe: that is `sanitised`, which everything
passes last.
"""

import re
from contextlib import suppress
from html import unescape
from html.parser import HTMLParser
from unicodedata import normalize
from urllib.parse import urlsplit

import nh3

LONGEST = 200_000
# Sanitising takes time with the square of what is nested.
MOST_TAGS = 20_000

TAGS = {
    *("h2", "h3", "p", "ul", "ol", "li", "strong", "em", "a", "sup", "sub", "br"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"),
    *("blockquote", "abbr", "picture", "source"),
}
ATTRIBUTES = {
    "a": {"href", "id"},
    "h2": {"id"},
    "h3": {"id"},
    "img": {"src", "alt", "width", "height", "loading", "decoding"},
    "source": {"type", "srcset", "sizes"},
    "th": {"scope", "colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
    "abbr": {"title"},
    "ol": {"start"},
}
_CLASSES = {"sup": {"citation"}}
# Elements that go with all they hold.
_PACKAGING = {"style", "title"}

_ACTIVE = {
    *("script", "iframe", "frame", "frameset", "noframes", "object", "embed", "applet"),
    *("svg", "math", "template", "slot", "noscript", "noembed", "xmp", "plaintext"),
    *("form", "input", "button", "select", "option", "textarea", "dialog", "marquee"),
    *("base", "audio", "video", "canvas", "portal"),
}
_STRUCK = {"s", "strike", "del"}
_ELEMENT = re.compile(r"<([a-z][^\s/<>]*)")
_SCHEME = re.compile(r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]*):")
_ADDRESS = re.compile(r"https://[^\s/\\?#@]+(?:[/?#]\S*)?|/(?![/\\])\S*|#\S+", re.I)

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85]")
_SEPARATORS = re.compile("[\u2028\u2029]")
# Controls, soft hyphen, zero-width and bidirectional marks, byte order mark, tag
# characters, halves of surrogate pairs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f\ud800-\udfff]"
)


class BadContent(ValueError):
    """The text can't become a revision; each of `problems` says what to mend."""

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = list(problems)


def tidy(text: str) -> str:
    """`text` in NFC without characters nobody can see; tabs and newlines stay."""
    return normalize("NFC", visible(text))


def visible(text: str) -> str:
    """As `tidy`, but not in NFC, which melts a tag's > into a mark that follows it."""
    return _UNSEEN.sub("", _SEPARATORS.sub(" ", _LINE_ENDS.sub("\n", text)))


def sanitised(html: str, *, also: dict[str, set[str]] | None = None) -> str:
    """`html` with nothing but TAGS and ATTRIBUTES; `also` allows more for the moment.

    Not always stable: taking an element away can change how the rest is read.
    """
    return nh3.clean(
        html,
        tags=TAGS | set(also or {}),
        clean_content_tags={"script", *_PACKAGING},
        attributes={**ATTRIBUTES, **(also or {})},
        allowed_classes=_CLASSES,
        url_schemes={"https"},
        link_rel=None,
        strip_comments=True,
    )


def check_length(html: str) -> None:
    """Raises BadContent for more than an article can hold."""
    if len(html) > LONGEST or html.count("<") > MOST_TAGS:
        megabytes = len(html.encode("utf-8", "replace")) / 1e6
        raise BadContent(
            f"The text is {megabytes:.1f} MB; an article holds at most {LONGEST:,} "
            "characters. A word processor adds hidden markup: paste it as plain text."
        )


def complaints(html: str) -> list[str]:
    """What an editor has to take out of `html`, in sentences."""
    inspector = _Inspector()
    # Markup declarations inside a <script> or <iframe>, which is on the list by then.
    with suppress(AssertionError):
        inspector.feed(_laid_open(html))
        inspector.close()
    inspector.check_link()
    if html.rfind("<!--") > html.rfind("-->"):
        inspector.complaints.append("The text ends inside a comment (“<!--”).")
    return list(dict.fromkeys(inspector.complaints))


def _laid_open(html: str) -> str:
    """`html` as a browser reads it, with what is going to be refused still in it.

    The cleaner can only keep what it is told by name; so it is told every name that
    occurs.
    """
    raw = tidy(unescape(html)).lower()
    schemes = {*_SCHEME.findall(raw), *_SCHEME.findall(re.sub(r"\s", "", raw))}
    return nh3.clean(
        html,
        tags={*_ELEMENT.findall(html.lower()), *TAGS} - _PACKAGING,
        clean_content_tags=_PACKAGING,
        attributes={"*": {"style"}, "a": {"href", "id", "name"}},
        generic_attribute_prefixes={"on"},
        url_schemes=schemes,
        link_rel=None,
    )


class _Inspector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self._link: dict[str, str] | None = None
        self._words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag in _ACTIVE:
            self.complaints.append(
                f"The text holds a <{tag}>, which an article can't. Take it out."
            )
        for name in found:
            if name.startswith("on"):
                self.complaints.append(
                    f"The text holds a script (“{name}”). Take it out."
                )
        if tag in _STRUCK or "line-through" in found.get("style", "").lower():
            self.complaints.append(
                "Text that is struck out would stand there like any other. Delete it, "
                "or the line through it."
            )
        if tag == "a":
            # A link can stand inside another one: around a table in it.
            self.check_link()
            self._link, self._words = found, ""

    def handle_data(self, data: str) -> None:
        self._words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self.check_link()

    def check_link(self) -> None:
        link, self._link = self._link, None
        # A word processor's bookmarks have a name and no address.
        if link is None or ("href" not in link and link.keys() & {"id", "name"}):
            return
        address = tidy(link.get("href", "")).strip()
        if not is_address(address):
            self.complaints.append(link_complaint(address or tidy(self._words)))


def link_complaint(called: str) -> str:
    shortened = " ".join(called.split())[:80]
    return f"The link “{shortened}” must start with https:// or /."


def is_address(href: str) -> bool:
    """Whether a link may lead there: https, this site, or a place on the same page."""
    try:
        _ = urlsplit(href).port
    except ValueError:
        return False
    return bool(_ADDRESS.fullmatch(href))
