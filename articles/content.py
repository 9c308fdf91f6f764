"""The text of an article, format article/1: all a reader can see of the text itself.

    format      "article/1"
    title, summary
    key_points  [text]
    body        HTML: sanitised, headings and citations with ids; printed as it is
    care_cards  [{level, heading, items [text], closing, cites [number]}]
    references  [{number, publisher, title, url, year, doi, pmid}]

Pictures are in the body by their digests, so their bytes are covered too. Section,
slug, aliases, read next, byline and templates are furniture and stand outside.
"""

import re
from typing import Any

from articles.body import Renditions as Renditions
from articles.body import Shown as Shown
from articles.body import any_picture, citations
from articles.body import contents as contents
from articles.body import heading_id as heading_id
from articles.body import prepare_body as prepare_body
from articles.cleaning import BadContent as BadContent
from articles.cleaning import tidy

FORMAT = "article/1"
MOST_LINES = 20
CARE_LEVELS = ("emergency", "urgent", "non-urgent")

_FIELDS = {
    *("format", "title", "summary", "key_points", "body", "care_cards", "references"),
}
_CARD = {"level", "heading", "items", "closing", "cites"}
_REFERENCE = {"number", "publisher", "title", "url", "year", "doi", "pmid"}
_BLANKS = re.compile(r"[ \t\n]+")
# Not only https: a few of the sources exist nowhere else.
_URL = re.compile(r"https?://[^\s/\\?#@<>\"]+(?:[/?#][^\s<>\"]*)?")
_YEAR = re.compile(r"[12][0-9]{3}")
_DOI = re.compile(r"10\.[0-9]{4,9}/[^\s<>\"]+")
_PMID = re.compile(r"[1-9][0-9]{0,8}")


def checked(
    content: dict[str, Any], *, renditions: Renditions = any_picture
) -> dict[str, Any]:
    """`content` as it will be stored: texts tidy, body prepared, nothing missing.

    Checking it again changes nothing. Raises BadContent with all that is to be mended.
    """
    checker = _Checker()
    prepared = checker.content(content)
    try:
        prepared["body"] = prepare_body(checker.html(content), renditions)
    except BadContent as refused:
        checker.problems += refused.problems
    else:
        checker.check_body(prepared)
    if checker.problems:
        raise BadContent(*dict.fromkeys(checker.problems))
    return prepared


class _Checker:
    """Brings fields into their stored form and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def content(self, given: dict[str, Any]) -> dict[str, Any]:
        """All but the body."""
        self.check_keys(given, _FIELDS, "content")
        if given.get("format", FORMAT) != FORMAT:
            self.problems.append(f"The format must be {FORMAT}.")
        return {
            "format": FORMAT,
            "title": self.needed(given.get("title"), "title", 120),
            "summary": self.needed(given.get("summary"), "summary", 300),
            "key_points": self.texts(given.get("key_points"), "key point"),
            "care_cards": [
                self.card(card, f"care card {place}")
                for place, card in self.entries(given.get("care_cards"), "care cards")
            ],
            "references": [
                self.reference(reference, place)
                for place, reference in self.entries(
                    given.get("references"), "references"
                )
            ],
        }

    @staticmethod
    def html(given: dict[str, Any]) -> str:
        body = given.get("body")
        if isinstance(body, str):
            return body
        raise BadContent("The body is missing.")

    def check_body(self, prepared: dict[str, Any]) -> None:
        if not prepared["body"].strip():
            self.problems.append("The body is empty.")
        known = {reference["number"] for reference in prepared["references"]}
        cited = {"The body": citations(prepared["body"])}
        for place, card in enumerate(prepared["care_cards"], 1):
            cited[f"Care card {place}"] = set(card["cites"])
        for where, numbers in cited.items():
            for number in sorted(numbers - known):
                self.problems.append(
                    f"{where} cites reference {number}, which is not in the list."
                )

    def card(self, given: dict[str, Any], name: str) -> dict[str, Any]:
        self.check_keys(given, _CARD, name)
        level = given.get("level")
        if level not in CARE_LEVELS:
            self.problems.append(
                f"{name.capitalize()}: {level!r} is no level of care. "
                f"It must be one of {', '.join(CARE_LEVELS)}."
            )
        items = self.texts(given.get("items"), f"{name}, item")
        if not items:
            self.problems.append(f"{name.capitalize()} needs at least one item.")
        return {
            "level": level,
            "heading": self.needed(given.get("heading"), f"{name}, heading", 120),
            "items": items,
            "closing": self.text(given.get("closing"), f"{name}, closing", 300),
            "cites": self.numbers(given.get("cites"), f"{name}, cites"),
        }

    def reference(self, given: dict[str, Any], place: int) -> dict[str, Any]:
        name = f"reference {place}"
        self.check_keys(given, _REFERENCE, name)
        # True is an int, and no number.
        if given.get("number") != place or type(given["number"]) is not int:
            self.problems.append(
                f"The number of {name} must be {place}: references are numbered from "
                "1, without a gap."
            )
        return {
            "number": place,
            "publisher": self.text(given.get("publisher"), f"{name}, publisher", 200),
            "title": self.needed(given.get("title"), f"{name}, title", 400),
            "url": self.shaped(given, name, "url", _URL, "start with https://"),
            "year": self.shaped(given, name, "year", _YEAR, "have four digits"),
            "doi": self.shaped(given, name, "doi", _DOI, "look like 10.1000/abc"),
            "pmid": self.shaped(given, name, "pmid", _PMID, "be a number"),
        }

    def shaped(
        self,
        given: dict[str, Any],
        name: str,
        key: str,
        shape: re.Pattern[str],
        wanted: str,
    ) -> str:
        """A text of this shape, or an empty one."""
        text = self.text(given.get(key), f"{name}, {key}", 600)
        if text and not shape.fullmatch(text):
            self.problems.append(
                f"The {name}, {key} must {wanted}, or stay empty: “{text[:80]}”."
            )
        return text

    def needed(self, value: Any, name: str, longest: int) -> str:
        text = self.text(value, name, longest)
        if not text and (value is None or isinstance(value, str)):
            self.problems.append(f"The {name} is missing.")
        return text

    def text(self, value: Any, name: str, longest: int) -> str:
        """One line of text, tidy; None is an empty one."""
        if not isinstance(value, str | None):
            self.problems.append(f"The {name} must be a text.")
            return ""
        line = _BLANKS.sub(" ", tidy(value or "")).strip()
        if len(line) > longest:
            self.problems.append(
                f"The {name} has {len(line)} characters; it may have {longest}."
            )
        return line

    def texts(self, values: Any, name: str) -> list[str]:
        """At most 20 lines of text; empty ones are dropped."""
        lines = [
            self.text(value, f"{name} {place}", 300)
            for place, value in enumerate(self.listed(values, f"{name}s"), 1)
        ]
        kept = [line for line in lines if line]
        if len(kept) > MOST_LINES:
            self.problems.append(
                f"There are {len(kept)} {name}s; there may be {MOST_LINES}."
            )
        return kept

    def numbers(self, values: Any, name: str) -> list[int]:
        found = self.listed(values, name)
        if all(type(value) is int for value in found):
            return found
        self.problems.append(f"The {name} must be numbers of references.")
        return []

    def entries(self, values: Any, name: str) -> list[tuple[int, dict[str, Any]]]:
        found = self.listed(values, name)
        if all(isinstance(value, dict) for value in found):
            return list(enumerate(found, 1))
        self.problems.append(f"The {name} must be made of fields.")
        return []

    def listed(self, values: Any, name: str) -> list[Any]:
        """A list; None is an empty one."""
        if isinstance(values, list | tuple | None):
            return list(values or [])
        self.problems.append(f"The {name} must be a list.")
        return []

    def check_keys(self, given: dict[str, Any], known: set[str], name: str) -> None:
        for key in sorted(map(str, given.keys() - known)):
            self.problems.append(f"The {name} has an unknown field “{key[:40]}”.")
