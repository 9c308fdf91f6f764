"""Links in mails: one purpose each, signed, short, of one length.

token = 22 characters of the recipient's random key + 22 of an HMAC (132 bits)
under CONSENT_KEY with the purpose in it. A confirmation's token carries its day, so
that it can grow old; one that unsubscribes never does (RFC 8058, CASL).
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

from django.conf import settings

KEY_LENGTH = 22
MAC_LENGTH = 22
TOKEN_LENGTH = KEY_LENGTH + MAC_LENGTH


def token(purpose: str, key: UUID, *, bound_to: str = "") -> str:
    """A link's token for `purpose`; `bound_to` is state that makes it die when used."""
    return _key_text(key) + _mac(settings.CONSENT_KEY, purpose, key, bound_to)


def read_token(purpose: str, text: str) -> UUID | None:
    """The key in an unbound token, or None unless it was signed for `purpose`."""
    key = token_key(text)
    return key if key and is_signed(purpose, text, key) else None


def token_key(text: str) -> UUID | None:
    """The key a token claims to be for; nothing is believed yet."""
    if len(text) != TOKEN_LENGTH or not text.isascii():
        return None
    try:
        return UUID(bytes=urlsafe_b64decode(text[:KEY_LENGTH] + "=="))
    except ValueError:
        return None


def is_signed(purpose: str, text: str, key: UUID, *, bound_to: str = "") -> bool:
    """Whether this very token was made for `purpose` and `bound_to`, by any key."""
    return any(
        hmac.compare_digest(
            text, _key_text(key) + _mac(consent_key, purpose, key, bound_to)
        )
        for consent_key in (settings.CONSENT_KEY, *settings.CONSENT_KEY_FALLBACKS)
    )


def _key_text(key: UUID) -> str:
    return urlsafe_b64encode(key.bytes).decode("ascii").rstrip("=")


def _mac(consent_key: str, purpose: str, key: UUID, bound_to: str) -> str:
    message = b"\0".join([purpose.encode(), key.bytes, bound_to.encode()])
    digest = hmac.digest(consent_key.encode(), message, sha256)
    return urlsafe_b64encode(digest).decode("ascii")[:MAC_LENGTH]


def address_macs(address: str) -> list[str]:
    """HMAC-SHA-256 of a canonical address under each key, the newest first."""
    keys = (settings.CONSENT_KEY, *settings.CONSENT_KEY_FALLBACKS)
    message = b"address\0" + address.encode("ascii")
    return [hmac.digest(key.encode(), message, sha256).hex() for key in keys]
