"""What `compare` found: parts of a text and the fate of each word."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal

from review.risks import RISKS

Op = Literal["same", "removed", "added"]
Kind = Literal["same", "changed", "added", "removed"]

# Marks that change how a word reads even where nothing changed.
_READABLE_MARKS = ("⟨raised", "⟨/raised", "⟨lowered", "⟨/lowered", "⟨line", "⟨picture")


@dataclass(frozen=True)
class Word:
    """A word, a stretch of unchanged words, white space or a mark such as ⟨bold⟩.

    `risk` is a key of RISKS, and "" for harmless and for unchanged words.
    """

    text: str
    op: Op
    risk: str = ""
    is_mark: bool = False

    @property
    def is_silent(self) -> bool:
        """An unchanged mark that only the diff needs."""
        marked = self.is_mark and not self.text.startswith(_READABLE_MARKS)
        return marked and self.op == "same"


@dataclass(frozen=True)
class Run:
    """Words with one fate, read out together."""

    op: Op
    words: tuple[Word, ...]

    @property
    def blank(self) -> str:
        """A run of nothing but white space, made visible; else empty."""
        text = "".join(word.text for word in self.words)
        if self.op == "same" or not text.isspace():
            return ""
        return text.replace(" ", "⟨space⟩").replace("\n", "⟨new line⟩")


@dataclass(frozen=True)
class Part:
    """A field or a block of the text, and what became of each of its words."""

    label: str
    kind: Kind
    words: tuple[Word, ...]

    @property
    def old_text(self) -> str:
        return "".join(word.text for word in self.words if word.op != "added")

    @property
    def new_text(self) -> str:
        return "".join(word.text for word in self.words if word.op != "removed")

    @cached_property
    def runs(self) -> list[Run]:
        found = groupby(self.words, key=lambda word: word.op)
        return [Run(op, tuple(run)) for op, run in found]

    @property
    def is_blank(self) -> bool:
        """There is nothing to read, such as an empty field or where a table ends."""
        return all(word.is_mark or word.text.isspace() for word in self.words)

    @cached_property
    def risks(self) -> Counter[str]:
        """How many places of this part touch which risk."""
        found: Counter[str] = Counter()
        for changed, place in groupby(self.words, key=lambda word: word.op != "same"):
            if changed:
                found.update({word.risk for word in place if word.risk})
        return found


@dataclass(frozen=True)
class Stretch:
    """Parts to show, and how many unchanged ones were left out before them."""

    hidden: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Difference:
    """All parts of both texts, in order; `is_new` where there was no old text."""

    parts: tuple[Part, ...]
    is_new: bool = False

    @property
    def is_empty(self) -> bool:
        return all(part.kind == "same" for part in self.parts)

    @cached_property
    def changed(self) -> list[Part]:
        return [part for part in self.parts if part.kind != "same"]

    @cached_property
    def risks(self) -> list[str]:
        """Such as “2 changes touch a dose or amount”; the gravest first."""
        found: Counter[str] = Counter()
        for part in self.changed:
            found.update(part.risks)
        return [
            self._sentence(found[risk], RISKS[risk]) for risk in RISKS if found[risk]
        ]

    def _sentence(self, count: int, risk: str) -> str:
        if self.is_new:
            return f"{count} part{'s name' if count > 1 else ' names'} {risk}"
        return f"{count} change{'s touch' if count > 1 else ' touches'} {risk}"

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The changed parts with one unchanged neighbour on either side."""
        parts = [p for p in self.parts if p.kind != "same" or not p.is_blank]
        near = {
            neighbour
            for at, part in enumerate(parts)
            if part.kind != "same"
            for neighbour in (at - 1, at, at + 1)
        }
        found, hidden = [], 0
        for is_near, run in groupby(enumerate(parts), key=lambda one: one[0] in near):
            shown = tuple(part for _, part in run)
            if is_near:
                found.append(Stretch(hidden, shown))
            hidden = 0 if is_near else len(shown)
        return [*found, Stretch(hidden, ())] if hidden else found
