"""Reading a mail server's log: which messages of ours did it take?

Postfix names a Message-ID once it has read the header, before it has taken the message;
that it took it say later lines with the same queue id: the queue manager's "queue
active", or any "status=". A list of Message-IDs, one a line, is believed as it stands.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

LISTED = re.compile(r"\s*<?([0-9a-f]{32})@[^\s<>@]+>?\s*", re.I)
NAMED = re.compile(r"\b(\w{5,30}): message-id=<?([^\s>]*)", re.I)
TAKEN = re.compile(r"\b(\w{5,30}): (?:.*\bstatus=\w|.*\(queue active\))")
OURS = re.compile(r"([0-9a-f]{32})@", re.I)
# Longer lines say nothing that is looked for here.
LONGEST_LINE = 2000


@dataclass(frozen=True)
class Line:
    """A line that names a message: its key, or what is wrong with it."""

    number: int
    key: UUID | None = None
    problem: str = ""


def taken(lines: Iterable[str]) -> Iterator[Line]:
    """A Line for each message that was taken, and for each that leaves a doubt.

    Lines of a log about anything else are passed over.
    """
    open_ones: dict[str, Line] = {}
    for number, text in enumerate(lines, 1):
        line = text[:LONGEST_LINE]
        if listed := LISTED.fullmatch(line):
            yield Line(number, UUID(listed[1]))
        elif named := NAMED.search(line):
            # A queue id comes again for another message.
            open_ones.pop(named[1], None)
            if ours := OURS.match(named[2]):
                open_ones[named[1]] = Line(number, UUID(ours[1]))
        elif found := TAKEN.search(line):
            if one := open_ones.pop(found[1], None):
                yield one
        elif line.strip() and ": " not in line:
            yield Line(number, problem="this is no Message-ID of ours")
    for one in open_ones.values():
        problem = "named in the log, which does not say that it was taken"
        yield Line(one.number, problem=problem)
