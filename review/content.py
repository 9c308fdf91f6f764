"""The exact text that is signed: RFC 8785 JSON with its format's version in it."""

from hashlib import sha256

from ledger import canonical_json

Content = dict[str, object]


def canonical(content: Content) -> bytes:
    """The bytes that a sign-off covers.

    Raises ValueError for a content that does not say its own `format`, and what
    `ledger.canonical_json` raises for values JSON spells in several ways.
    """
    if not isinstance(content.get("format"), str):
        raise ValueError("the content does not name its format")
    return canonical_json(content)  # type: ignore[arg-type]


def digest(content: Content) -> str:
    """SHA-256 of `canonical(content)`, hexadecimal."""
    return sha256(canonical(content)).hexdigest()


def digest_of_stored(content: object) -> str:
    """`digest`, or "" where a row holds nothing that could be signed: it was blanked,
    or altered into something that has no canonical form."""
    try:
        return digest(content)  # type: ignore[arg-type]
    except (AttributeError, TypeError, ValueError):
        return ""
