"""The library's files as a second reader takes them: sentence by sentence.

    python -m tests.library FACTS.md

writes `tests/collected_facts.bin` anew from the collection of facts that the texts were
drafted from: hashes of its ten-word windows, DOIs and PubMed numbers. The collection
itself is no part of the project; its hashes tell what was copied and what was invented.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from articles.library_files import split

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "articles/library"
HASHES = Path(__file__).parent / "collected_facts.bin"
HASH_BYTES = 6
WINDOW = 10
ARTICLES = [
    path for path in sorted(LIBRARY.glob("*.md")) if split(path)[0]["kind"] != "policy"
]
POLICIES = [path for path in sorted(LIBRARY.glob("*.md")) if path not in ARTICLES]
TIPS = sorted((ROOT / "newsletter/library").glob("*.md"))
DOI = re.compile(r"\b10\.\d{4,9}/[^\s,;\"]+")
PMID = re.compile(r"(?<=PMID )\d+")
# Shown as "doi …pub2" beside the newer version of the same review.
SHOWN_SHORTENED = {"10.1002/14651858.CD004899.pub2"}

_CITATION = re.compile(r"\[\^([a-z0-9-]+)\]")
_FIGURE = re.compile(r'^!\[([^\]]*)\]\((\S+) "(.*)"\)$', re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_RULE = re.compile(r"^\|[-:| ]+\|$")
_ITEM = re.compile(r"^(?:-|\d+\.) ")
_ENDS = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?]\*\*)|(?<=[.!?]\*))"
    r"([”’\"')]*(?:\[\^[a-z0-9-]+\])*)\s+(?=[\"“‘'(*\[]*[A-Z0-9])"
)


@dataclass(frozen=True)
class Sentence:
    text: str
    tags: frozenset[str]
    place: str


@dataclass(frozen=True)
class Figure:
    alt: str
    name: str
    caption: str


@cache
def fields(path: Path) -> dict[str, Any]:
    return split(path)[0]


@cache
def markdown(path: Path) -> str:
    return split(path)[1]


def headings(path: Path) -> list[str]:
    return re.findall(r"^## (.+)$", markdown(path), re.MULTILINE)


def figures(path: Path) -> list[Figure]:
    return [Figure(*found) for found in _FIGURE.findall(markdown(path))]


def links(path: Path) -> list[str]:
    return re.findall(r"(?<!!)\[[^\]^]*\]\(([^)]*)\)", markdown(path))


def claim_map(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.with_suffix(".claims.toml").read_text())


def sentences(path: Path) -> list[Sentence]:
    """All that is said, in the order of the file, without marks and citations."""
    return [
        Sentence(plain(said), frozenset(_CITATION.findall(said)), place)
        for place, block in _blocks(path)
        for said in _split(block)
        if plain(said)
    ]


def plain(text: str) -> str:
    text = _LINK.sub(r"\1", _CITATION.sub("", text)).replace("*", "")
    return re.sub(r"\s+", " ", text).strip()


def _blocks(path: Path) -> Iterator[tuple[str, str]]:
    given = fields(path)
    for name in ("title", "subject", "preheader", "summary"):
        if name in given:
            yield "top", given[name]
    yield from (("top", point) for point in given.get("key_points", []))
    for card in given.get("care", []):
        for text in (card["heading"], *card["items"], card.get("closing", "")):
            yield "card", text
    for line in filter(None, map(str.strip, markdown(path).splitlines())):
        if line.startswith("#"):
            yield "heading", line.lstrip("# ")
        elif figure := _FIGURE.match(line):
            yield "body", figure[3]
        elif line.startswith("|"):
            if not _RULE.match(line):
                yield from (("cell", cell) for cell in line.strip("|").split("|"))
        else:
            yield "body", _ITEM.sub("", line)


def _split(block: str) -> Iterator[str]:
    start = 0
    for end in _ENDS.finditer(block):
        yield block[start : end.end(1)]
        start = end.end()
    yield block[start:]


def words(path: Path) -> list[str]:
    """Every word of the text, as it is written, figures' descriptions included."""
    said = [sentence.text for sentence in sentences(path)]
    said += [figure.alt for figure in figures(path)]
    text = re.sub(r"\{\{[^}]*\}\}", "", " ".join(said))
    return re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text)


def windows(text: str) -> Iterator[str]:
    """Each ten words in a row, whatever stands between them."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    for start in range(len(found) - WINDOW + 1):
        yield " ".join(found[start : start + WINDOW])


def hashed(text: str) -> bytes:
    return sha256(text.encode()).digest()[:HASH_BYTES]


@cache
def collected() -> frozenset[bytes]:
    stored = HASHES.read_bytes()
    return frozenset(
        stored[start : start + HASH_BYTES]
        for start in range(0, len(stored), HASH_BYTES)
    )


def collect(facts: str) -> bytes:
    identifiers = {found.rstrip(".)") for found in DOI.findall(facts)}
    identifiers |= {*PMID.findall(facts), *SHOWN_SHORTENED}
    return b"".join(sorted(map(hashed, {*windows(facts), *identifiers})))


if __name__ == "__main__":
    HASHES.write_bytes(collect(Path(sys.argv[1]).read_text(encoding="utf-8")))
