"""What became of everybody, counted from the mail server's journal."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.journal import Entry, taken


@dataclass(frozen=True)
class Tally:
    """`lost` and `twice` are people and messages that there must be none of."""

    eligible: int
    accepted: int
    lost: tuple[str, ...]
    twice: int
    uncertain: tuple[str, ...]


def count(
    eligible: Collection[str],
    journal: Sequence[Entry],
    fates: Mapping[str, str],
    unsubscribed: Collection[str] = (),
    failing: Collection[str] = (),
) -> Tally:
    """Lost is whom the server took nothing for, unless it was to be so.

    `fates` are the database's states by address. A state `accepted` proves nothing:
    only the journal does. Who is refused or dropped is lost, too, without having left
    and without being one of the `failing` that the scenario struck.
    """
    accepted = taken(journal)
    uncertain = tuple(one for one, fate in fates.items() if fate == "uncertain")
    known = {*unsubscribed, *failing, *accepted, *uncertain}
    return Tally(
        eligible=len(eligible),
        accepted=sum(1 for one in eligible if one in accepted),
        lost=tuple(sorted(set(eligible) - known)),
        twice=sum(times - 1 for times in accepted.values()),
        uncertain=uncertain,
    )
