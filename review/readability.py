"""How long a text is and how hard it is to read.

The measure is the grade of Kincaid et al. (1975), from Flesch's reading ease:
0.39 * words per sentence + 11.8 * syllables per word - 15.59. A child in a grade of
an American school is about five years older than the grade's number.
"""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

AGE_BEFORE_SCHOOL = 5
# What this site writes for: editors are shown both, the library's tests hold to them.
READING_AGES = range(11, 14)
# Not headings and tables: they are made of words, not of sentences.
_RUNNING = re.compile(r"<(?:p|li)(?:\s[^>]*)?>(.*?)(?=</?(?:p|li|ul|ol)\b)", re.DOTALL)
_CITED = re.compile(r'<sup class="citation">.*?</sup>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
# One word: 1,500, isn't, low-risk.
_WORD = re.compile(r"\d[\d.,:]*\d|\d|[^\W\d_]+(?:[-’'][^\W\d_]+)*")
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])[”’\"')]*\s+(?=[\"“‘'(]*[A-Z0-9])")
_VOWELS = re.compile(r"[aeiouy]+")
# At a word's end, written but no syllable: time, whole, tired, comes.
_SILENT = re.compile(
    r"(?<=[^aeiouyl])e$|(?<=[aeiouy]l)e$|(?<=[^aeiouytd])ed$|(?<=[^aeiouylscxzgh])es$"
)
# Vowels side by side that are spoken apart: area, period, usual, doing.
_APART = re.compile(r"ia(?!l)|io(?!n)|ea$|ua(?!r)|[uy]i(?=ng)|iu|oi(?=ng)")


@dataclass(frozen=True)
class Reading:
    """`words` are all that a page or a mail says itself, without its references."""

    words: int
    grade: float

    @property
    def age(self) -> int:
        """From which a child reads it with ease, in years."""
        return round(self.grade) + AGE_BEFORE_SCHOOL

    def __str__(self) -> str:
        first, last = READING_AGES[0], READING_AGES[-1]
        return (
            f"{self.words:,} words, reading age {self.age} (Flesch-Kincaid grade "
            f"{self.grade:.1f}); aim for {first} to {last}."
        )


def reading(content: dict[str, Any]) -> Reading:
    """Of an article or a tip; its grade is that of its running text."""
    html = _CITED.sub("", content.get("body") or content.get("html") or "")
    opening = [
        *(content.get(name, "") for name in ("summary", "preheader")),
        *content.get("key_points", []),
    ]
    helping = [
        text
        for card in content.get("care_cards", [])
        for text in (card["heading"], *card["items"], card["closing"])
    ]
    running = [*opening, *(_plain(found) for found in _RUNNING.findall(html))]
    said = [*opening, *helping, _plain(html)]
    return Reading(
        words=sum(len(_WORD.findall(text)) for text in said), grade=grade(running)
    )


def grade(texts: list[str]) -> float:
    """Flesch and Kincaid's; each text ends a sentence. 0 where there is no word."""
    sentences = [
        words
        for text in texts
        for sentence in _SENTENCE_ENDS.split(text)
        if (words := _WORD.findall(sentence))
    ]
    count = sum(map(len, sentences))
    if not count:
        return 0.0
    spoken = sum(syllables(word) for words in sentences for word in words)
    return 0.39 * count / len(sentences) + 11.8 * spoken / count - 15.59


def syllables(word: str) -> int:
    """By the word's vowels, and at least one; in a text off by less than 1 in 100."""
    return sum(
        max(
            1,
            len(_VOWELS.findall(part))
            - len(_SILENT.findall(part))
            + len(_APART.findall(part)),
        )
        for part in word.lower().split("-")
    )


def _plain(html: str) -> str:
    return unescape(_TAG.sub(" ", html))
