"""Single rows of evidence, laid open so that a stranger can check them.

What is found wrong here follows from the row, its entry and the neighbouring links.
Only `verify` looks at the whole chain and finds rows that were taken away.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.models import Attested, Entry, Redaction, Seal, Unsealed
from ledger.sealing import GENESIS
from ledger.verifying import complaint, expected_link


@dataclass(frozen=True)
class Proof:
    """A row, what the ledger holds of it, and what is wrong (nothing: `holds`)."""

    row: Attested
    # None where it is gone.
    entry: Entry | None
    # None while the entry waits to be sealed, about a second.
    seal: Seal | None
    # The hash of the link before.
    previous: str
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.faults

    def told(self) -> dict[str, Any]:
        """All that commitment and link are computed from, ready for JSON."""
        entry, seal = self.entry, self.seal
        return {
            "table": self.row._meta.db_table,
            "row": self.row.pk,
            "facts": self.row.facts(),
            "entry": entry and entry.pk,
            "kind": entry and entry.kind,
            "salt": entry and entry.salt,
            "commitment": entry and entry.commitment,
            "recorded_at": entry and entry.recorded_at.isoformat(),
            "position": seal and seal.position,
            "previous_link": seal and self.previous,
            "link": seal and seal.chain,
            "sealed_at": seal and seal.sealed_at.isoformat(),
            "holds": self.holds,
            "faults": list(self.faults),
        }


def prove(rows: Sequence[Attested]) -> list[Proof]:
    """A proof for each of `rows`, in their order."""
    ids = {row.entry_id for row in rows}
    own = {seal.entry_id: seal for seal in Seal.objects.filter(entry__in=ids)}
    near = {at + step for at in _positions(own) for step in (-1, 0, 1)}
    links = Seal.objects.in_bulk(list(near))
    ids |= {link.entry_id for link in links.values()}
    found = _Found(
        entries=Entry.objects.in_bulk(list(ids)),
        own=own,
        links=links,
        waiting=set(
            Unsealed.objects.filter(entry__in=ids).values_list("entry", flat=True)
        ),
        last=Seal.objects.order_by("-position").first(),
        redacted=frozenset(Redaction.objects.values_list("digest", flat=True)),
    )
    return [found.proof_of(row) for row in rows]


def _positions(seals: Mapping[int, Seal]) -> list[int]:
    return [seal.position for seal in seals.values()]


@dataclass(frozen=True)
class _Found:
    """What the database says of some rows and of what stands beside them."""

    entries: Mapping[int, Entry]
    own: Mapping[int, Seal]
    links: Mapping[int, Seal]
    waiting: set[int]
    last: Seal | None
    redacted: frozenset[str]

    def proof_of(self, row: Attested) -> Proof:
        seal = self.own.get(row.entry_id)
        return Proof(
            row=row,
            entry=self.entries.get(row.entry_id),
            seal=seal,
            previous=self._before(seal.position) if seal else "",
            faults=tuple(self._faults(row, seal)),
        )

    def _before(self, position: int) -> str:
        """The hash of the link before; "" where that is gone."""
        if position == 1:
            return GENESIS
        link = self.links.get(position - 1)
        return link.chain if link else ""

    def _faults(self, row: Attested, seal: Seal | None) -> Iterator[str]:
        entry = self.entries.get(row.entry_id)
        if entry is None or entry.kind != row.KIND:
            table = row._meta.db_table
            yield f"row {row.pk} of {table} has no entry of its own"
            return
        if sentence := complaint(row, entry, self.redacted):
            yield sentence
        if seal:
            yield from self._link_faults(entry, seal)
        elif entry.pk not in self.waiting:
            yield (
                f"entry {entry.pk} was taken out of the chain and is waiting for no "
                "seal"
            )

    def _link_faults(self, entry: Entry, seal: Seal) -> Iterator[str]:
        position, previous = seal.position, self._before(seal.position)
        if not previous:
            yield f"link {position - 1} is gone"
        elif expected_link(previous, position, entry) != seal.chain:
            yield f"entry or link {position} was changed: the chain breaks here"
        after = self.links.get(position + 1)
        if after is None:
            if self.last and self.last.position > position:
                yield f"link {position + 1} is gone"
            return
        follower = self.entries.get(after.entry_id)
        if (
            follower is None
            or expected_link(seal.chain, position + 1, follower) != after.chain
        ):
            yield f"link {position + 1} does not follow from link {position}"
