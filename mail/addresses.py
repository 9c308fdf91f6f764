"""Which addresses a receiver accepts, and when two are the same mailbox."""

import re
import unicodedata
from functools import lru_cache

import idna

# RFC 5321 section 4.5.3.1: 64 octets before the @, 254 in a path without brackets.
LONGEST_LOCAL_PART = 64
LONGEST_ADDRESS = 254
# RFC 5321 section 4.1.2, dot-string; quoted local parts are refused.
DOT_STRING = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
)
HOST_NAME = re.compile(
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])"
)


class NotAnAddress(ValueError):
    """The text can't be a mailbox; the message says so to the person who typed it."""


def canonical_address(typed: str) -> str:
    """The one spelling of the mailbox `typed` names: lower case, ASCII domain.

    The local part must be ASCII and only its letters' case is folded; the domain is
    IDNA 2008. Raises NotAnAddress with a sentence for the person.
    """
    # A no-break space comes along with what is copied from a page.
    text = typed.strip(" \t\r\n\u00a0")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise NotAnAddress("Enter an email address, like name@example.com.")
    if not local.isascii():
        raise NotAnAddress(
            "The part before the @ has a letter that mail can't carry yet. "
            "Enter it with the letters a to z."
        )
    if len(local) > LONGEST_LOCAL_PART or not DOT_STRING.fullmatch(local):
        raise NotAnAddress(
            "The part before the @ can't be right. "
            "Enter an email address, like name@example.com."
        )
    address = f"{local.lower()}@{_ascii_domain(domain)}"
    if len(address) > LONGEST_ADDRESS:
        raise NotAnAddress("This address is longer than any mail server accepts.")
    return address


# A list of a million has some ten thousand domains.
@lru_cache(maxsize=32_768)
def _ascii_domain(domain: str) -> str:
    # U+212A KELVIN SIGN lower-cases to k: such a domain is another one's mask.
    if any(not char.isascii() and char.lower().isascii() for char in domain):
        raise NotAnAddress(_WRONG_DOMAIN)
    # Some keyboards type a letter and its accent apart (RFC 5895 section 2).
    domain = unicodedata.normalize("NFC", domain)
    try:
        encoded = idna.encode(domain.lower(), uts46=False).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise NotAnAddress(_WRONG_DOMAIN) from error
    if not HOST_NAME.fullmatch(encoded):
        raise NotAnAddress(_WRONG_DOMAIN)
    return encoded


_WRONG_DOMAIN = (
    "The part after the @ can't be right. Enter a full domain, like example.com."
)
