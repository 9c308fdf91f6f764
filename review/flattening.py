"""A content as a row of labelled passages, nothing of it left out.

Two contents have the same passages exactly if they are the same content: what a
person can't see (tags, ids, empty lists) becomes a mark, such as ⟨bold⟩.
"""

import json
import re
from collections.abc import Iterator

from review.content import Content
from review.passages import Group, Passage, Token, html_passages, mark, passage, whole
from review.risks import visible

_ORDER = (
    *("subject", "preheader", "title", "summary", "key_points", "body", "html", "text"),
    *("care_cards", "references", "level", "heading", "items", "closing", "cites"),
    *("number", "publisher", "url", "year", "doi", "pmid"),
)
_NAMES = {
    "html": "HTML part",
    "text": "Text part",
    "url": "URL",
    "doi": "DOI",
    "pmid": "PMID",
}
_ONE_OF = {
    "key_points": "Key point",
    "care_cards": "Care card",
    "references": "Reference",
    "items": "item",
    "cites": "reference",
}
# Where each entry begins is plain from its first field, so it needs no mark.
_KNOWN_ENTRIES = (
    {"level", "heading", "items", "closing", "cites"},
    {"number", "publisher", "title", "url", "year", "doi", "pmid"},
)
_WHOLE = {"format", "url", "doi"}
# Parts of a group that no key of a content can be.
_ENTRY, _MORE, _NUMBER = range(3)


def flatten(content: Content) -> list[Passage]:
    return list(_object(content, (), ""))


def _object(value: Content, group: Group, label: str) -> Iterator[Passage]:
    for key in sorted(value, key=_place):
        name = _NAMES.get(key, visible(key.replace("_", " ")))
        inner = f"{label}: {name}" if label else name[:1].upper() + name[1:]
        yield from _value(value[key], (*group, key), inner)


def _place(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)


def _value(value: object, group: Group, label: str) -> Iterator[Passage]:
    if isinstance(value, dict) and value:
        yield from _object(value, group, label)
    elif isinstance(value, list) and value:
        yield from _entries(value, group, label)
    elif isinstance(value, str):
        yield from _text(value, group, label)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield passage(label, (*group, _NUMBER), value, plain=group[0] == "care_cards")
    else:
        yield Passage(label, group, (mark(json.dumps(value)), Token("", "")))


def _entries(values: list[object], group: Group, label: str) -> Iterator[Passage]:
    key = str(group[-1])
    outer = label.rpartition(": ")[0]
    name = _ONE_OF.get(key, visible(key.replace("_", " ")))
    for number, value in enumerate(values, 1):
        inner = f"{outer}: {name}" if outer else f"{name} {number}"
        if isinstance(value, dict) and set(value) in _KNOWN_ENTRIES:
            yield from _known_entry(value, number, (*group, _ENTRY), inner)
            continue
        if isinstance(value, dict | list):
            yield Passage(inner, (*group, _ENTRY), (mark("starts"), Token("", "")))
        yield from _value(value, (*group, _ENTRY), inner)


def _known_entry(
    entry: Content, number: int, group: Group, label: str
) -> Iterator[Passage]:
    if level := entry.get("level"):
        label = f"{label} ({visible(str(level))})"
    fields = dict(entry)
    # Numbers that only count are left out, or one entry more would change them all.
    if entry.get("number") == number and not isinstance(entry["number"], bool):
        del fields["number"]
    yield from _object(fields, group, label)


def _text(value: str, group: Group, label: str) -> Iterator[Passage]:
    if len(group) == 1 and group[0] in ("body", "html"):
        yield from html_passages(value, group, label)
    elif group[-1] in _WHOLE:
        yield whole(label, group, value)
    else:
        for part in re.split(r"(?<=\n\n)(?!\n)", value):
            yield passage(label, group, part)
            group = (*group, _MORE) if group[-1] != _MORE else group
