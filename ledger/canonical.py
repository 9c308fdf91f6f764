"""One byte form for one value (RFC 8785, JSON Canonicalization Scheme)."""

import json
from unicodedata import normalize

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

LARGEST_INTEGER = 2**53 - 1


def canonical_json(value: Json) -> bytes:
    """RFC 8785 bytes of `value`, its texts in Unicode NFC.

    Raises TypeError for floats and anything else JSON spells in several ways, and
    ValueError for integers that RFC 8785 can't carry, keys that collide after NFC
    and lone surrogates.
    """
    text = json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


def _ordered(value: Json) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise ValueError(f"{value} is past what JSON numbers carry exactly")
        return value
    if isinstance(value, str):
        return normalize("NFC", value)
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        return _ordered_object(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _ordered_object(value: dict[str, Json]) -> dict[str, Json]:
    normal = {normalize("NFC", key): _ordered(item) for key, item in value.items()}
    if len(normal) != len(value):
        raise ValueError("two keys are the same text")
    # RFC 8785 section 3.2.3: keys are sorted by their UTF-16 code units.
    return dict(sorted(normal.items(), key=lambda pair: pair[0].encode("utf-16-be")))
