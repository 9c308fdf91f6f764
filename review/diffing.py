"""The word diff a clinician reads before signing, and readers on the review record.

It never hides a change: `compare(old, new)` is empty exactly if both have the same
canonical bytes, and a change that no word can show is shown as raw markup.
"""

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from review.content import Content, canonical
from review.difference import Difference as Difference
from review.difference import Op, Part, Word
from review.flattening import flatten
from review.passages import Passage, Token, weighed
from review.risks import risk_of, words

Opcode = tuple[str, int, int, int, int]

# Below this ratio two texts share only small change: one is shown after the other.
_ALIKE = 0.3
# Past this many pairs of passages none are sought: removed, then added.
_MOST_PAIRS = 250_000


def compare(old: Content | None, new: Content) -> Difference:
    """What changed from `old` to `new`; None makes everything new.

    Raises what `canonical` raises for contents that can't be signed anyway.
    """
    after = canonical(new)
    if old is None:
        parts = [_part(None, passage) for passage in flatten(json.loads(after))]
        return Difference(tuple(parts), is_new=True)
    before = canonical(old)
    parts = list(_parts(flatten(json.loads(before)), flatten(json.loads(after))))
    if before != after and all(part.kind == "same" for part in parts):
        parts.append(_part(_raw(before), _raw(after)))
    return Difference(tuple(parts))


def _raw(content: bytes) -> Passage:
    tokens = tuple(Token(gap, word) for gap, word in words(content.decode()))
    return Passage("Markup", (), tokens)


def _parts(old: list[Passage], new: list[Passage]) -> Iterator[Part]:
    """Passages aligned, then those of a rewritten region paired."""
    keys: dict[object, int] = {}
    numbers = [
        [keys.setdefault((one.group, one.tokens), len(keys)) for one in side]
        for side in (old, new)
    ]
    for op, i1, i2, j1, j2 in _opcodes(*numbers):
        if op == "equal":
            for passage in new[j1:j2]:
                yield _part(passage, passage)
            continue
        for before, after in _paired(old[i1:i2], new[j1:j2]):
            yield _part(before, after)


def _opcodes(old: Sequence[object], new: Sequence[object]) -> list[Opcode]:
    """SequenceMatcher's, quick where only the middle differs."""
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    left = shorter - head
    tail = next((i for i in range(left) if old[-1 - i] != new[-1 - i]), left)
    middle = SequenceMatcher(
        None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False
    )
    codes: list[Opcode] = [("equal", 0, head, 0, head)] if head else []
    for op, i1, i2, j1, j2 in middle.get_opcodes():
        codes.append((op, i1 + head, i2 + head, j1 + head, j2 + head))
    if tail:
        codes.append(("equal", len(old) - tail, len(old), len(new) - tail, len(new)))
    return codes


def _paired(
    old: list[Passage], new: list[Passage]
) -> Iterator[tuple[Passage | None, Passage | None]]:
    """Both in order; passages of one group are paired so that most words agree."""
    if not old or not new or len(old) * len(new) > _MOST_PAIRS:
        yield from ((one, None) for one in old)
        yield from ((None, one) for one in new)
        return
    likeness = _likeness(old, new)
    best = _best(likeness)
    i = j = 0
    while i < len(old) and j < len(new):
        paired = likeness[i][j] and best[i][j] == likeness[i][j] + best[i + 1][j + 1]
        if paired:
            yield old[i], new[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            yield old[i], None
            i += 1
        else:
            yield None, new[j]
            j += 1
    yield from ((one, None) for one in old[i:])
    yield from ((None, one) for one in new[j:])


def _likeness(old: list[Passage], new: list[Passage]) -> list[list[float]]:
    """The share of words in common; 0 across groups, a little within one."""
    sets = [
        [{token.text for token in one.tokens} for one in side] for side in (old, new)
    ]
    return [
        [
            0.05 + 2 * len(a & b) / (len(a) + len(b)) if one.group == other.group else 0
            for other, b in zip(new, sets[1], strict=True)
        ]
        for one, a in zip(old, sets[0], strict=True)
    ]


def _best(likeness: list[list[float]]) -> list[list[float]]:
    """The most likeness that pairs from old[i:] and new[j:] can add up to."""
    width = len(likeness[0])
    best = [[0.0] * (width + 1) for _ in range(len(likeness) + 1)]
    for i in reversed(range(len(likeness))):
        row, below, alike = best[i], best[i + 1], likeness[i]
        for j in reversed(range(width)):
            skip = below[j] if below[j] > row[j + 1] else row[j + 1]
            pair = alike[j] + below[j + 1] if alike[j] else 0.0
            row[j] = pair if pair > skip else skip
    return best


def _part(old: Passage | None, new: Passage | None) -> Part:
    passage = new or old
    assert passage is not None, "one side is always there"  # noqa: S101
    writer = _Writer(plain=passage.plain)
    if old is None or new is None:
        op: Op = "removed" if new is None else "added"
        writer.write(weighed(passage.tokens), op)
        return Part(passage.label, op, tuple(writer.words))
    if old.tokens == new.tokens:
        writer.write(new.tokens, "same")
        return Part(passage.label, "same", tuple(writer.words))
    writer.write_both(old.tokens, new.tokens)
    return Part(passage.label, "changed", tuple(writer.words))


class _Writer:
    def __init__(self, *, plain: bool) -> None:
        self.words: list[Word] = []
        self._plain = plain

    def write_both(self, before: Sequence[Token], after: Sequence[Token]) -> None:
        old, new = weighed(before), weighed(after)
        for op, i1, i2, j1, j2 in _word_opcodes(old[:-1], new[:-1]):
            if op == "equal":
                for one, other in zip(old[i1:i2], new[j1:j2], strict=True):
                    self._write_same(one, other)
            elif op == "insert":
                self._write_between(new, j1, j2, old, i1, "added")
            elif op == "delete":
                self._write_between(old, i1, i2, new, j1, "removed")
            else:
                self._write_replaced(old[i1:i2], new[j1:j2])
        self._write_same(old[-1], new[-1])

    def write(self, tokens: Sequence[Token], op: Op) -> None:
        for token in tokens:
            self._add(token.gap, op)
            self._add_token(token, op)

    def _write_between(
        self,
        side: list[Token],
        start: int,
        end: int,
        other: list[Token],
        at: int,
        op: Op,
    ) -> None:
        """`side[start:end]`, found before `other[at]`, with the space after it.

        With the space before it, “a c” to “a ⟨bold⟩c” would move a space as well.
        """
        if side[start].gap != other[at].gap:
            self.write(side[start:end], op)
            return
        self._add(side[start].gap, "same")
        self.write([side[start]._replace(gap=""), *side[start + 1 : end]], op)
        self._add(side[end].gap, op)
        side[end] = side[end]._replace(gap="")
        other[at] = other[at]._replace(gap="")

    def _write_replaced(self, old: Sequence[Token], new: Sequence[Token]) -> None:
        if old and new and old[0].gap == new[0].gap:
            self._add(new[0].gap, "same")
            old = [old[0]._replace(gap=""), *old[1:]]
            new = [new[0]._replace(gap=""), *new[1:]]
        self.write(old, "removed")
        self.write(new, "added")

    def _write_same(self, old: Token, new: Token) -> None:
        if old.gap == new.gap:
            self._add(new.gap, "same")
        else:
            self._add(old.gap, "removed")
            self._add(new.gap, "added")
        self._add_token(new, "same")

    def _add_token(self, token: Token, op: Op) -> None:
        lit = op != "same" and not self._plain and not token.is_mark
        self._add(token.text, op, token.risk if lit else "", token.is_mark)

    def _add(self, text: str, op: Op, risk: str = "", is_mark: bool = False) -> None:
        if not text:
            return
        last = self.words[-1] if self.words else None
        harmless = not (risk or is_mark)
        if last and harmless and last.op == op and not (last.risk or last.is_mark):
            self.words[-1] = Word(last.text + text, op)
        else:
            self.words.append(Word(text, op, risk, is_mark))


def _word_opcodes(old: Sequence[Token], new: Sequence[Token]) -> list[Opcode]:
    before, after = [one.text for one in old], [one.text for one in new]
    codes = _opcodes(before, after)
    same = sum(i2 - i1 for op, i1, i2, _, _ in codes if op == "equal")
    if 2 * same < _ALIKE * (len(old) + len(new)):
        return [("replace", 0, len(old), 0, len(new))]
    return _without_crumbs(codes, before)


def _without_crumbs(codes: list[Opcode], old: list[str]) -> list[Opcode]:
    """A lone harmless word between two rewritten places is rewritten with them."""
    joined: list[Opcode] = []
    for at, (op, i1, i2, j1, j2) in enumerate(codes):
        around = [code[0] for code in codes[max(at - 1, 0) : at + 2]]
        lone = op == "equal" and i2 - i1 == 1 and not risk_of(old[i1])
        crumb = lone and around == ["replace", "equal", "replace"]
        if joined and joined[-1][0] == "replace" and (crumb or op == "replace"):
            _, k1, _, m1, _ = joined.pop()
            joined.append(("replace", k1, i2, m1, j2))
        else:
            joined.append((op, i1, i2, j1, j2))
    return joined
