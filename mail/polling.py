"""Fetching what came back from a mailbox by IMAP (RFC 3501), over verified TLS.

A message is taken and committed before the mailbox hears of it: dying in between means
that it is taken again, which changes nothing.
"""

import imaplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mail.bounces import take
from mail.mime import LONGEST_MESSAGE
from mail.reports import Kind

SECONDS_PER_ANSWER = 30
MOST_AT_ONCE = 200


class MailboxAway(Exception):
    """It can't be reached, its certificate is wrong, or it refuses us."""


def poll(mailbox: dict[str, Any]) -> int:
    """Take up to 200 unseen messages; how many. Raises MailboxAway.

    What was understood is deleted. What a person must read stays, marked as seen.
    """
    with _opened(mailbox) as imap:
        (found,) = _asked(imap.uid("SEARCH", "UNSEEN", "UNDELETED"))
        uids = (found or b"").decode("ascii").split()[:MOST_AT_ONCE]
        for uid in uids:
            _take_one(imap, uid)
        # Closing the folder removes what is marked as deleted.
        _asked(imap.close())
    return len(uids)


@contextmanager
def _opened(mailbox: dict[str, Any]) -> Iterator[imaplib.IMAP4_SSL]:
    imap = None
    try:
        imap = imaplib.IMAP4_SSL(
            mailbox["host"],
            mailbox["port"],
            ssl_context=ssl.create_default_context(),
            timeout=SECONDS_PER_ANSWER,
        )
        imap.login(mailbox["username"], mailbox["password"])
        _asked(imap.select(f'"{mailbox["folder"]}"'))
        yield imap
        imap.logout()
    except (imaplib.IMAP4.error, OSError) as error:
        raise MailboxAway(type(error).__name__) from error
    finally:
        if imap:
            # After a goodbye it is closed already.
            with suppress(OSError):
                imap.shutdown()


def _take_one(imap: imaplib.IMAP4_SSL, uid: str) -> None:
    answer = _asked(imap.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LONGEST_MESSAGE}>)"))
    raw = next((item[1] for item in answer if isinstance(item, tuple)), None)
    if raw is None:
        return  # somebody else removed it meanwhile
    taken = take(raw)
    flags = r"(\Seen)" if taken.kind is Kind.UNKNOWN else r"(\Seen \Deleted)"
    _asked(imap.uid("STORE", uid, "+FLAGS.SILENT", flags))


def _asked(answer: tuple[str, list[Any]]) -> list[Any]:
    """What the server said, or IMAP4.error when it said no."""
    said, data = answer
    if said != "OK":
        raise imaplib.IMAP4.error(said)
    return data
