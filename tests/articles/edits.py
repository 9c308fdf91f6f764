"""Random edits of every field of an article that a reader can see (hypothesis)."""

import re
from collections.abc import Callable
from copy import deepcopy
from html import unescape
from typing import Any

from hypothesis import strategies as st

from tests.articles.signed_page import ANOTHER

SNIPPETS = [
    *("not ", "5 mg", "50 mg", "µg", "<b>", "&amp;", '"', "'", "é", "\u202e", "\u00a0"),
    *("{{ x }}", "{% now %}", "</script>", "<script>alert(1)</script>", "]]>", "-->"),
    *("0", "1", ".", ",", "-", "never", "\u200b", "e\u0301", "𝟓", "١"),
]
LINE = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12
) | st.sampled_from(SNIPPETS)
SHAPES = {
    "url": st.from_regex(r"\Ahttps://[a-z]{1,8}\.org(/[a-z0-9]{1,6})?\Z") | st.just(""),
    "year": st.from_regex(r"\A[12][0-9]{3}\Z") | st.just(""),
    "doi": st.from_regex(r"\A10\.[0-9]{4,9}/[a-z0-9.]{1,9}\Z") | st.just(""),
    "pmid": st.from_regex(r"\A[1-9][0-9]{0,8}\Z") | st.just(""),
    "level": st.sampled_from(["emergency", "urgent", "non-urgent"]),
}
Edit = Callable[[dict[str, Any]], None]
PIECES = re.compile(r"(<[^>]+>)")
BLOCK = re.compile(r"<(p|h2|h3|li|tr|figure|blockquote|table|ul|ol)\b.*?</\1>", re.S)


def typed(text: str, how: str, place: int, more: str) -> str:
    """`text` with `more` in it, or a piece of it gone, or all of it new."""
    at = place % (len(text) + 1)
    return {
        "insert": text[:at] + more + text[at:],
        "overtype": text[:at] + more + text[at + len(more) :],
        "delete": text[:at] + text[at + 1 :],
        "cut": text[:at],
        "swap": text[at:] + text[:at],
        "anew": more,
    }[how]


TYPING = st.sampled_from(["insert", "overtype", "delete", "cut", "swap", "anew"])
PLACE = st.integers(0, 400)


@st.composite
def fields(draw: st.DrawFn) -> tuple[str, Edit]:
    """One field outside the body, whichever."""
    name = draw(st.sampled_from(["title", "summary", "key_points", "card", "source"]))
    how, place, more = draw(TYPING), draw(PLACE), draw(LINE)
    if name in ("title", "summary"):
        return name, lambda text: text.update(
            {name: typed(text[name], how, place, more)}
        )
    if name == "key_points":
        act = draw(st.sampled_from(["type", "add", "drop", "turn"]))
        return f"key points: {act}", lambda text: _in_list(
            text["key_points"], act, how, place, more
        )
    number = draw(st.integers(0, 2))
    if name == "card":
        key = draw(st.sampled_from(["level", "heading", "items", "closing", "cites"]))
        act = draw(st.sampled_from(["type", "add", "drop", "turn"]))
        new: Any = draw(
            SHAPES["level"]
            if key == "level"
            else st.lists(st.integers(1, 3), max_size=3)
            if key == "cites"
            else LINE
        )

        def card(text: dict[str, Any]) -> None:
            one = text["care_cards"][number]
            if key == "items":
                _in_list(one["items"], act, how, place, more)
            elif key in ("level", "cites"):
                one[key] = new
            else:
                one[key] = typed(one[key], how, place, more)

        return f"card {number}: {key}", card
    key = draw(st.sampled_from(["publisher", "title", "url", "year", "doi", "pmid"]))
    value = draw(SHAPES[key]) if key in SHAPES else ""

    def source(text: dict[str, Any]) -> None:
        one = text["references"][number]
        one[key] = value if key in SHAPES else typed(one[key], how, place, more)

    return f"reference: {key}", source


def _in_list(lines: list[str], act: str, how: str, place: int, more: str) -> None:
    at = place % len(lines)
    if act == "type":
        lines[at] = typed(lines[at], how, place, more)
    elif act == "add":
        lines.insert(at, more)
    elif act == "drop":
        del lines[at]
    else:
        lines.reverse()


@st.composite
def wholes(draw: st.DrawFn) -> tuple[str, Edit]:
    """Whole care cards and references: added, taken away, put in another order."""
    name = draw(st.sampled_from(["care_cards", "references"]))
    act, at = draw(st.sampled_from(["add", "drop", "turn"])), draw(st.integers(0, 2))

    def change(text: dict[str, Any]) -> None:
        rows = text[name]
        if act == "add":
            rows.insert(at, deepcopy(rows[at]))
        elif act == "drop":
            del rows[at if name == "care_cards" else -1]
            _forget_source_3(text)
        else:
            rows.append(rows.pop(0))
        if name == "references":
            for number, one in enumerate(rows, 1):
                one["number"] = number

    return f"{name}: {act}", change


def _forget_source_3(text: dict[str, Any]) -> None:
    if len(text["references"]) < 3:
        for card in text["care_cards"]:
            card["cites"] = [one for one in card["cites"] if one < 3]


ATTRIBUTES = {
    "alt": LINE | st.just(""),
    "title": LINE,
    "href": SHAPES["url"].filter(bool) | st.sampled_from(["#ref-1", "#ref-3", "/x/"]),
    "src": st.sampled_from([f"/pictures/{ANOTHER}.svg"]),
    "width": st.from_regex(r"\A[1-9][0-9]{0,2}\Z"),
    "height": st.from_regex(r"\A[1-9][0-9]{0,2}\Z"),
    "scope": st.sampled_from(["row", "col", "rowgroup"]),
    "colspan": st.sampled_from(["1", "3"]),
    "start": st.from_regex(r"\A[1-9][0-9]?\Z"),
}
SWAPS = [
    *(("h2", "h3"), ("h3", "h2"), ("ul", "ol"), ("strong", "em"), ("em", "strong")),
    *(("sub", "sup"), ("blockquote", "p"), ("h3", "p"), ("th", "td"), ("td", "th")),
    *(("strong", ""), ("em", ""), ("sub", ""), ("abbr", ""), ("a", "")),
]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, Edit]:
    """The body: its words, its marks, its attributes, its blocks."""
    what = draw(
        st.sampled_from(
            ["words", "words", "attribute", "mark", "swap", "drop", "again"]
        )
    )
    how, place, more = draw(TYPING), draw(PLACE), draw(LINE)
    key = draw(st.sampled_from(sorted(ATTRIBUTES)))
    value = draw(ATTRIBUTES[key])
    mark = draw(st.sampled_from(["strong", "em", "sub", "sup"]))
    old, new = draw(st.sampled_from(SWAPS))

    def change(text: dict[str, Any]) -> None:
        body = text["body"]
        if what == "attribute":
            shapes = re.compile(rf' {key}="[^"]*"')
            body = _one(shapes, body, place, f' {key}="{_quoted(value)}"')
        elif what == "swap":
            to = (f"<{new}>", f"</{new}>") if new else ("", "")
            body = re.sub(rf"<{old}\b[^>]*>", to[0], body).replace(f"</{old}>", to[1])
        elif what == "drop":
            body = _one(BLOCK, body, place, "")
        elif what == "again":
            found = _nth(BLOCK, body, place)
            body = body[: found.end()] + found[0] + body[found.end() :]
        else:
            pieces = PIECES.split(body)
            said = [at for at, one in enumerate(pieces) if one and one[0] != "<"]
            at = said[place % len(said)]
            if what == "mark":
                pieces[at] = f"<{mark}>{pieces[at]}</{mark}>"
            else:
                words = typed(unescape(pieces[at]), how, place, more)
                pieces[at] = _quoted(words)
            body = "".join(pieces)
        text["body"] = body

    return f"body: {key if what == 'attribute' else what}", change


def _nth(shape: re.Pattern[str], body: str, place: int) -> re.Match[str]:
    found = list(shape.finditer(body))
    return found[place % len(found)]


def _one(shape: re.Pattern[str], body: str, place: int, new: str) -> str:
    found = _nth(shape, body, place)
    return body[: found.start()] + new + body[found.end() :]


def _quoted(text: str) -> str:
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
    )
