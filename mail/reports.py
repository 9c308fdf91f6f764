"""What a mail that came back says: pure, bounded, and it never raises.

A delivery report (RFC 3464) is decided by Action and Status per recipient, a complaint
(RFC 5965) by Feedback-Type. Free text decides nothing, and neither does a header that
says who was authenticated: a report is believed for the key in it, which only the
mail it is about has carried.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from mail.mime import Headers, Part, take_apart

# RFC 3463 section 2; Exchange writes a comment after it.
STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
# RFC 3464 section 2.3.6: type smtp is the other server's reply, codes first.
SMTP_REPLY = re.compile(r"smtp;\s*[245]\d\d[ -]#?([245]\.\d{1,3}\.\d{1,3})(?!\d)", re.I)
# The same without its type, or the status alone.
REPLY = re.compile(
    r"(?:smtp;\s*)?(?:[245]\d\d[ -]#?)?([245]\.\d{1,3}\.\d{1,3})(?!\d)", re.I
)
OUR_SENDER = re.compile(r"\bbounces\+([0-9a-f]{32})@", re.I)
OUR_MESSAGE_ID = re.compile(r"<([0-9a-f]{32})@", re.I)
# Whom the envelope named, as mail servers note it, the surest first.
ENVELOPE_TO = ("delivered-to", "x-original-to", "envelope-to", "original-recipient")
DELIVERY_STATUS = ("message/delivery-status", "message/global-delivery-status")
FEEDBACK = ("message/feedback-report",)
RETURNED_WHOLE = ("message/rfc822", "message/global")
RETURNED_HEADERS = ("text/rfc822-headers", "message/global-headers")
MOST_GROUPS = 50
# RFC 3463 section 3.2: about the sender's address.
BLAMES_SENDER = ("5.1.7", "5.1.8")


class Kind(StrEnum):
    HARD = "hard bounce"
    # Delayed, given up after 4.x.x, mailbox full, or for a reason that says nothing
    # about the mailbox.
    SOFT = "soft bounce"
    # The receiver refuses the sender or the text: no mailbox is at fault.
    POLICY = "policy refusal"
    COMPLAINT = "complaint"
    DELIVERED = "delivered"
    AUTO_REPLY = "auto-reply"
    CHALLENGE = "challenge"
    # A report about a report, or about our own return address.
    LOOP = "loop"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """What a report says about one recipient."""

    kind: Kind
    status: str = ""
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Report:
    kind: Kind
    status: str = ""
    # Names our delivery, if somebody issued it.
    key: UUID | None = None
    verdicts: tuple[Verdict, ...] = field(default=(), repr=False)

    def about(self, address: str) -> Verdict:
        """The verdict on `address`, or on all together when none names it."""
        named = [one for one in self.verdicts if address in one.addresses]
        return _mildest(named) if named else Verdict(self.kind, self.status)


def classify(raw: bytes) -> Report:
    """What `raw`, of any size and shape, says. Reads 1 MB of it at most."""
    headers, parts = take_apart(raw)
    returned = _returned(parts)
    key = _envelope_key(headers) or _message_key(returned)
    reports = [part for part in parts if part.kind in DELIVERY_STATUS]
    feedback = [part for part in parts if part.kind in FEEDBACK]
    if (reports or feedback) and _is_loop(returned):
        return Report(Kind.LOOP)
    if reports:
        return _delivery_report(reports[0], key)
    if feedback:
        return Report(_feedback(feedback[0]), key=key)
    return Report(_without_report(headers, parts), key=key)


def key_in(address: str) -> UUID | None:
    """The key of a return address of ours (VERP)."""
    found = OUR_SENDER.search(address)
    return UUID(found[1]) if found else None


def _envelope_key(headers: Headers) -> UUID | None:
    """The key in what the envelope named; `To` is only a copy of it."""
    for name in (*ENVELOPE_TO, "to"):
        for value in headers.all(name):
            if key := key_in(value):
                return key
    return None


def key_in_message_id(text: str) -> UUID | None:
    """The key in a Message-ID of ours."""
    found = OUR_MESSAGE_ID.search(text)
    return UUID(found[1]) if found else None


def status_in(reply: str) -> str:
    """The enhanced status that a reply begins with; empty when it has none."""
    found = REPLY.match(reply.lstrip())
    return found[1] if found else ""


def _message_key(returned: Headers | None) -> UUID | None:
    return key_in_message_id(returned.first("message-id")) if returned else None


def _returned(parts: list[Part]) -> Headers | None:
    """The headers of the mail that the report brings back."""
    for part in parts:
        if part.kind in RETURNED_WHOLE + RETURNED_HEADERS:
            # Some servers put blank lines before the first header.
            return Part.of(part.decoded().lstrip(b"\n")).headers
    return None


def _is_loop(returned: Headers | None) -> bool:
    return returned is not None and returned.word("content-type") == "multipart/report"


def _delivery_report(part: Part, key: UUID | None) -> Report:
    blocks = part.decoded().split(b"\n\n", MOST_GROUPS)[:MOST_GROUPS]
    groups = [Headers(block.strip(b"\n")) for block in blocks]
    verdicts = tuple(
        _verdict(group)
        for group in groups
        if "action" in group or "final-recipient" in group
    )
    if any(key_in(one) for verdict in verdicts for one in verdict.addresses):
        return Report(Kind.LOOP)
    mildest = _mildest(verdicts)
    return Report(mildest.kind, mildest.status, key, verdicts)


def _verdict(group: Headers) -> Verdict:
    status = _status(group)
    addresses = frozenset(
        value.partition(";")[2].strip().strip("<>").lower()
        for name in ("original-recipient", "final-recipient")
        for value in group.all(name)
    )
    return Verdict(kind_of(group.word("action"), status), status, addresses)


def _status(group: Headers) -> str:
    """Status; where it is missing or says "undefined", the other server's own code.

    Exim writes 5.0.0 whatever the other server's reply was.
    """
    stated = STATUS.match(group.first("status"))
    status = stated[0] if stated else ""
    reply = SMTP_REPLY.match(group.first("diagnostic-code"))
    vague = not status or status.endswith(".0.0")
    if reply and vague and (not status or reply[1][0] == status[0]):
        return reply[1]
    return status


def kind_of(action: str, status: str) -> Kind:
    """RFC 3464 section 2.3.3 and RFC 3463; a refusal in a conversation is `failed`."""
    if action in ("delivered", "relayed", "expanded"):
        return Kind.DELIVERED
    if action == "delayed":
        return Kind.SOFT
    if action != "failed" or not status or status.startswith("2"):
        return Kind.UNKNOWN
    if status.startswith("5.7.") or status in BLAMES_SENDER:
        return Kind.POLICY
    if status.startswith("5.1.") or status == "5.2.1":
        return Kind.HARD
    return Kind.SOFT


def _mildest(verdicts: Sequence[Verdict]) -> Verdict:
    """An address may stand for many; it is dead when each of them is."""
    order = (Kind.DELIVERED, Kind.SOFT, Kind.POLICY, Kind.HARD, Kind.UNKNOWN)
    return min(
        verdicts, key=lambda one: order.index(one.kind), default=Verdict(Kind.UNKNOWN)
    )


def _feedback(part: Part) -> Kind:
    """RFC 5965 section 7.3; `opt-out` is an older draft's, meant just so."""
    fields = Headers(part.decoded().strip(b"\n"))
    said = fields.word("feedback-type")
    if said in ("abuse", "fraud", "opt-out"):
        return Kind.COMPLAINT
    return Kind.DELIVERED if said == "not-spam" else Kind.UNKNOWN


def _without_report(headers: Headers, parts: list[Part]) -> Kind:
    if any(part.kind == "message/disposition-notification" for part in parts):
        return Kind.AUTO_REPLY
    if _asks_who_we_are(headers):
        return Kind.CHALLENGE
    if _is_from_a_mail_server(headers):
        # A bounce in free text: a person reads it, no rule does.
        return Kind.UNKNOWN
    return Kind.AUTO_REPLY if _is_automatic(headers) else Kind.UNKNOWN


def _asks_who_we_are(headers: Headers) -> bool:
    """Challenge-response systems have no standard; these headers are their own."""
    marks = ("x-tmda-", "x-ask-", "x-spamarrest", "x-boxbe-", "x-challenge")
    return headers.first("x-delivery-agent").lower().startswith("tmda/") or any(
        name.startswith(marks) for name in headers.names()
    )


def _is_from_a_mail_server(headers: Headers) -> bool:
    sender = headers.first("from").lower()
    return "x-failed-recipients" in headers or bool(
        re.search(r"\b(mailer-daemon|postmaster)@", sender)
    )


def _is_automatic(headers: Headers) -> bool:
    """RFC 3834, and what servers wrote before it."""
    precedence = headers.word("precedence")
    return (
        headers.word("auto-submitted") not in ("", "no")
        or precedence in ("auto_reply", "auto-reply", "bulk", "junk", "list")
        or any(
            name in headers
            for name in ("x-auto-response-suppress", "x-autoreply", "x-autorespond")
        )
    )
