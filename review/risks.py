"""Words as the diff sees them, and which of them are dangerous to change."""

import re
from collections.abc import Iterator
from functools import cache
from unicodedata import category, name, normalize

# Characters between ⟨ and ⟩ are ours; a text's own ⟨ is spelled out like odd ones.
OPEN, CLOSE = "⟨⟩"
RISKS = {
    "dose": "a dose or amount",
    "emergency": "an emergency word",
    "negation": "a “not” or “never”",
    "limit": "a limit (more, less, before)",
    "number": "a number",
    "unit": "a unit",
}

# Joined to the letters around them: marks and format characters, seen or unseen.
_LETTER = (
    r"[\w\u00ad\u0300-\u036f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff]"
)
_UNITS = (
    "mg mcg µg μg ug ng kg g ml cl dl l litres? liters? milligrams? micrograms? "
    "nanograms? grams? kilograms? millilit(?:re|er)s? mmol mol iu units? % percent "
    "per\\scent °c °f degrees? tablets? capsules? pills? drops? puffs? doses? sprays? "
    "sachets? patch(?:es)? teaspoons? tablespoons? cups? glass(?:es)? injections? "
    "seconds? secs? s minutes? mins? hours? hrs? h days? nights? weeks? months? years? "
    "times mm cm m km met(?:re|er)s? feet foot ft inch(?:es)? kcal calories kj bpm "
    "mmhg hz msv"
)
_LONE_UNITS = (
    "daily nightly hourly weekly monthly yearly per mg mcg µg μg ug ng kg ml mmol iu "
    "litres? milligrams? micrograms? grams? kilograms? millilit(?:re|er)s? units? % "
    "percent tablets? capsules? pills? drops? puffs? doses? sprays? sachets? "
    "patch(?:es)? teaspoons? tablespoons? seconds? minutes? hours? days? nights? "
    "weeks? months? years? times degrees? [gl] °[cf]"
)
_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty "
    "sixty seventy eighty ninety hundred thousand million half third quarter once "
    "twice thrice double triple dozen"
)
_NEGATIONS = (
    "not no non never none nor neither nothing nobody without cannot unless except "
    "avoid(?:s|ed|ing)? stop(?:s|ped|ping)? \\w+n't contraindicated unsafe"
)
_EMERGENCIES = (
    "999 112 911 111 emergenc(?:y|ies) ambulances? a&e (?:non-)?urgent(?:ly)? "
    "immediate(?:ly)? straight\\s+away right\\s+away at\\s+once hospitals? strokes? "
    "call(?:s|ed|ing)?"
)
_LIMITS = (
    "more less fewer least most above below over under before after until within "
    "beyond minimum maximum at\\s+least at\\s+most up\\s+to more\\s+than less\\s+than "
    "exceed(?:s|ed|ing)? higher lower increas(?:e|es|ed|ing) decreas(?:e|es|ed|ing) "
    "reduc(?:e|es|ed|ing) longer shorter earlier later only always every [<>≤≥±~]"
)


def _any(patterns: str) -> str:
    return f"(?:{'|'.join(patterns.split())})"


_DIGITS = r"\.?\d+(?:[.,:/]\d+)*(?:[ \u00a0\u2009\u202f]\d{3}(?!\d))*[½⅓⅔¼¾⅛]?|[½⅓⅔¼¾⅛]"
_SPELLED = (
    rf"{_any(_NUMBER_WORDS)}(?:[\s-](?:and\s)?{_any(_NUMBER_WORDS)})*(?!{_LETTER})"
)
_ONE = rf"(?:{_DIGITS}|{_SPELLED})"
_NUMBER = rf"(?<!{_LETTER})[-−+±~<>≤≥]?{_ONE}(?:\s?(?:[-–—−×]|to\s)\s?{_ONE})*"
_UNIT = rf"{_any(_UNITS)}(?:/(?:kg|day|hour|h|l|ml|dl|min|week|m2|m²))*"
_DOSE = rf"{_NUMBER}[\s-]?{_UNIT}"
_PHRASE = r"straight\s+away|right\s+away|at\s+(?:once|least|most)|up\s+to|a&e"

_TOKEN = re.compile(
    rf"(\s*)(https?://[^\s<>\"]*[^\s<>\".,;:!?)\]]|{_DOSE}(?!{_LETTER})"
    rf"|{_NUMBER}(?!{_LETTER})|(?:{_PHRASE})(?!{_LETTER})"
    rf"|{_LETTER}+(?:['’\-‐‑]{_LETTER}+)*|([^\w\s])\3*|$)",
    re.IGNORECASE,
)
_KINDS = [
    (risk, re.compile(pattern, re.IGNORECASE))
    for risk, pattern in (
        ("dose", _DOSE),
        ("emergency", _any(_EMERGENCIES)),
        ("number", _NUMBER),
        ("negation", _any(_NEGATIONS)),
        ("limit", _any(_LIMITS)),
        ("unit", _any(_LONE_UNITS)),
    )
]
_SPELLED_OUT = re.compile(rf"{OPEN}U\+([0-9A-F]+){CLOSE}")
_LOOKALIKES = str.maketrans(
    "’ʼ‐‑аеорсухіјѕһԁɡοανιсАВЕНІКМОРСТХΑΒΕΗΙΚΜΝΟΡΤΧ",
    "''--aeopcyxijshdgoavicABEHIKMOPCTXABEHIKMNOPTX",
)


def words(text: str) -> Iterator[tuple[str, str]]:
    """`text` as (white space before, word), both visible; the last word is empty.

    A number with its unit is one word. The pairs joined are `visible(text)`.
    """
    for found in _TOKEN.finditer(text):
        yield visible(found[1]), visible(found[2])
        if not found[2]:
            return


def risk_of(word: str) -> str:
    """A key of RISKS, or "" for a word that is as harmless as any other."""
    if word.startswith(("http://", "https://", "[")):
        return ""  # addresses and citations
    plain = _plain(word)
    for risk, pattern in _KINDS:
        if pattern.fullmatch(plain):
            return risk
    if plain == "ER":
        return "emergency"
    if any(char.isdigit() for char in plain):
        return "number"
    pieces = plain.split("-")
    return next(filter(None, map(risk_of, pieces)), "") if len(pieces) > 1 else ""


def _plain(word: str) -> str:
    """What `word` looks like to a reader: disguises taken off."""
    as_written = _SPELLED_OUT.sub(lambda code: chr(int(code[1], 16)), word)
    return "".join(map(_seen_as, as_written)).translate(_LOOKALIKES)


@cache
def _seen_as(char: str) -> str:
    kind = category(char)
    if kind in ("Cf", "Cc", "Mn", "Me"):
        return ""
    return char if kind == "No" else normalize("NFKC", char)


def visible(text: str) -> str:
    """`text` with unseen and look-alike characters spelled out, such as ⟨U+200B⟩."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return re.sub(r"\w+|\W", lambda run: _visible_run(run[0]), text)


def _visible_run(run: str) -> str:
    mixed = re.search("[a-zA-Z]", run) is not None
    return "".join(_spelled(c) if mixed and _foreign(c) else _glyph(c) for c in run)


@cache
def _glyph(char: str) -> str:
    return _spelled(char) if _odd(char) else char


def _odd(char: str) -> bool:
    kind = category(char)
    if char in " \n":
        return False
    if char in "⟨⟩\u115f\u1160\u2800\u3164\uffa0" or kind[0] in "CZ":
        return True
    disguised = kind[0] in "LN" and kind != "No" and normalize("NFKC", char).isascii()
    return kind in ("Mn", "Me") or (disguised and not char.isascii())


@cache
def _foreign(char: str) -> bool:
    """A letter of another alphabet, out of place between Latin letters."""
    return (
        char.isalpha()
        and char not in "αβγδκλμπσωΔΩµ"
        and "LATIN" not in name(char, "LATIN")
    )


def _spelled(char: str) -> str:
    return f"{OPEN}U+{ord(char):04X}{CLOSE}"
