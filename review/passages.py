"""Passages of text, and HTML cut into them with nothing left out."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from html.parser import HTMLParser
from typing import NamedTuple

from review.risks import CLOSE, OPEN, risk_of, visible, words

_BLOCKS = {
    "p": "paragraph",
    "h2": "heading",
    "h3": "subheading",
    "li": "list item",
    "th": "table heading",
    "td": "table cell",
    "figcaption": "caption",
    "blockquote": "quotation",
}
_INLINE = {
    "strong": "bold",
    "em": "italic",
    "sup": "raised",
    "sub": "lowered",
    "a": "link",
    "br": "line break",
    "abbr": "abbreviation",
    "img": "picture",
}
_CONTAINERS = {
    "ul": "list",
    "ol": "numbered list",
    "thead": "table head",
    "tbody": "table body",
    "tr": "row",
}
# Attributes that are passages of their own, in the order they are usually written.
_APART = {
    "a": {"href": "Link"},
    "abbr": {"title": "Abbreviation"},
    "img": {"src": "Picture: file", "alt": "Picture: description (alt text)"},
}
_CITED = re.compile(r"#ref-(\d+)")
# A part of a group that no key of a content can be, as the text lies in HTML.
_HTML = -1
Group = tuple[object, ...]


class Token(NamedTuple):
    """White space, then a word or a mark; a passage's last token has no text.

    `risk` is a key of RISKS once `weighed`, "" for a harmless one.
    """

    gap: str
    text: str
    is_mark: bool = False
    risk: str = ""


class Passage(NamedTuple):
    """What is compared: the label is for people, the group says what may be paired.

    A plain passage (an address, an id) lights up no risks.
    """

    label: str
    group: Group
    tokens: tuple[Token, ...]
    plain: bool = False


def mark(text: str) -> Token:
    return Token("", f"{OPEN}{text}{CLOSE}", is_mark=True)


def weighed(tokens: Sequence[Token]) -> list[Token]:
    """Each with its risk: that of the word it is a part of, though marks split that.

    Readers see one “not”, whether or not its o is italic.
    """
    found = list(tokens)
    for places in _split_words(found):
        whole_word = "".join(found[place].text for place in places)
        risk = risk_of(whole_word)
        for place in places:
            token = found[place]
            found[place] = token._replace(risk=risk or risk_of(token.text))
    return found


def _split_words(tokens: Sequence[Token]) -> Iterator[list[int]]:
    """The places of the parts of each word: marks lie between them, and no space."""
    parts: list[int] = []
    after_mark = False
    for place, token in enumerate(tokens):
        if token.gap or not (token.is_mark or after_mark):
            if parts:
                yield parts
            parts = []
        after_mark = token.is_mark
        if not token.is_mark and token.text:
            parts.append(place)
    if parts:
        yield parts


def passage(label: str, group: Group, value: object, *, plain: bool = False) -> Passage:
    tokens = tuple(Token(gap, word) for gap, word in words(str(value)))
    return Passage(label, group, tokens, plain)


def whole(label: str, group: Group, value: str) -> Passage:
    return Passage(label, group, (Token("", visible(value)), Token("", "")), plain=True)


def html_passages(html: str, group: Group, label: str) -> Iterator[Passage]:
    reader = _HtmlReader(group, label)
    try:
        reader.feed(html)
        reader.close()
    except AssertionError:  # html.parser gives up on some <![...
        reader.rebuilt.clear()
    yield from reader.finished()
    if "".join(reader.rebuilt) != html:
        yield passage(f"{label}: markup", (*group, _HTML, "markup"), html)


class _HtmlReader(HTMLParser):
    """Cuts HTML into blocks.

    `rebuilt` is the HTML as the passages tell it. Where it isn't the HTML that was
    read (a comment, an unusual spelling), the passages are not the whole truth.
    """

    def __init__(self, group: Group, label: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rebuilt: list[str] = []
        self._group, self._label = group, label
        self._passages: list[Passage] = []
        self._last = -1  # where the block or structure that ended last is
        self._block = ""
        self._tokens: list[Token] = []
        self._gap = ""
        self._apart: list[Passage] = []
        self._ids: list[Token] = []

    def finished(self) -> list[Passage]:
        self._interrupt_block()
        if self._ids:
            tokens = (*self._ids, Token("", ""))
            self._add("anchors", "link anchors", tokens, plain=True)
        return self._passages

    def handle_data(self, data: str) -> None:
        self.rebuilt.append(_escaped(data))
        if not self._block and data.isspace() and self._last >= 0:
            self._append_gap(visible(data))
            return
        self._block = self._block or "text"
        *found, last = words(data)
        for gap, word in found:
            self._push(Token(gap, word))
        self._gap += last[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.rebuilt.append(_start_tag(tag, attrs))
        details = self._details(tag, attrs)
        if tag in _INLINE:
            self._block = self._block or "text"
            self._push(_mark(_INLINE[tag], details))
            self._set_apart(tag, dict(attrs))
            return
        self._interrupt_block()
        if tag in _BLOCKS:
            self._block = tag
            self._tokens = [_mark("", details)] if details else []
        else:
            self._structure(_mark(_CONTAINERS.get(tag, f"tag {tag}"), details))

    def handle_endtag(self, tag: str) -> None:
        self.rebuilt.append(f"</{tag}>")
        if tag in _INLINE:
            self._block = self._block or "text"
            self._push(mark(f"/{_INLINE[tag]}"))
            if tag == "sup":
                self._join_citation()
        elif tag == self._block:
            if self._gap:  # else it would look like space after the end
                self._push(mark("end"))
            self._end_block()
        else:
            self._interrupt_block()
            names = {**_BLOCKS, **_CONTAINERS}
            self._structure(mark(f"/{names.get(tag, f'tag {tag}')}"))

    def _details(self, tag: str, attrs: list[tuple[str, str | None]]) -> list[str]:
        """What the mark of a tag says of its attributes, in their order."""
        names = [name for name, _ in attrs]
        details = [f"no {name}" for name in _APART.get(tag, {}) if name not in names]
        apart = [name for name in _APART.get(tag, {}) if name in names]
        for name, value in attrs:
            if name == "id":
                self._ids.append(Token(" ", visible(f"{value}"), is_mark=True))
                details.append("anchor")
            elif name not in apart:
                details.append(visible(f"{name}={_quoted(value)}"))
            elif names[: len(apart)] != apart:
                details.append(name)
        return details

    def _push(self, token: Token) -> None:
        self._tokens.append(token._replace(gap=self._gap + token.gap))
        self._gap = ""

    def _set_apart(self, tag: str, attrs: dict[str, str | None]) -> None:
        for name, label in _APART.get(tag, {}).items():
            if name in attrs:
                make = whole if name in ("href", "src") else passage
                group = (*self._group, _HTML, label)
                self._apart.append(make(label, group, attrs[name] or ""))

    def _join_citation(self) -> None:
        """`<sup class="citation">` with its one usual link reads [1], one word."""
        cited = self._apart and _CITED.fullmatch(self._apart[-1].tokens[0].text)
        if not cited:
            return
        usual = ("⟨raised class=citation⟩", "⟨link anchor⟩", cited[1])
        tokens = self._tokens[-5:]
        if [token.text for token in tokens] == [*usual, "⟨/link⟩", "⟨/raised⟩"] and (
            not any(token.gap for token in tokens[1:])
        ):
            self._tokens[-5:] = [Token(tokens[0].gap, f"[{cited[1]}]")]
            self._apart.pop()

    def _interrupt_block(self) -> None:
        """A block begins or ends inside another, or after text outside of any."""
        if self._block in _BLOCKS and not self._tokens:
            block, self._block = self._block, ""
            self._structure(mark(_BLOCKS[block]))
        elif self._block in _BLOCKS:
            self._push(mark("…"))
        self._end_block()

    def _end_block(self) -> None:
        if self._block:
            tokens = (*self._tokens, Token(self._gap, ""))
            self._add(self._block, _BLOCKS.get(self._block, "text"), tokens)
        self._passages += self._apart
        self._block, self._tokens, self._gap, self._apart = "", [], "", []

    def _structure(self, tag: Token) -> None:
        self._add("structure", "structure", (tag, Token(self._gap, "")))
        self._gap = ""

    def _add(
        self, kind: str, name: str, tokens: tuple[Token, ...], *, plain: bool = False
    ) -> None:
        label = f"{self._label}: {name}"
        if name == "caption" or tokens[0].text.startswith("⟨picture"):
            label = "Picture: caption" if name == "caption" else "Picture"
        self._last = len(self._passages)
        group = (*self._group, _HTML, kind)
        self._passages.append(Passage(label, group, tokens, plain))

    def _append_gap(self, gap: str) -> None:
        last = self._passages[self._last]
        *tokens, end = last.tokens
        end = end._replace(gap=end.gap + gap)
        self._passages[self._last] = last._replace(tokens=(*tokens, end))


def _mark(name: str, details: list[str]) -> Token:
    return mark(" ".join([name, *details]).strip())


def _quoted(value: str | None) -> str:
    value = value or ""
    return value if value.isalnum() else f'"{escape(value)}"'


def _start_tag(tag: str, attrs: list[tuple[str, str | None]]) -> str:
    """As the sanitiser writes it; an attribute given twice is not."""
    pairs = dict(attrs).items()
    written = [
        f' {name}="{_escaped(value or "", quote=True)}"' for name, value in pairs
    ]
    return f"<{tag}{''.join(written)}>"


def _escaped(text: str, *, quote: bool = False) -> str:
    safe = text.replace("&", "&amp;").replace("\u00a0", "&nbsp;")
    safe = safe.replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace('"', "&quot;") if quote else safe
