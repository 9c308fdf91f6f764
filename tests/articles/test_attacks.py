"""W8: whatever is typed into whatever field, no script comes out."""

import re
from html import escape
from typing import Any

import pytest

from articles.cleaning import tidy
from articles.content import BadContent, checked
from tests.articles.cast import (
    CARD,
    PHOTOGRAPH,
    REFERENCE,
    TEXT,
    of_a_photograph,
    unexpected,
)
from tests.articles.xss import ATTACKS


def in_body(attack: str) -> dict[str, Any]:
    return {"body": f"<p>x</p>{attack}<p>y</p>"}


def in_words(attack: str) -> dict[str, Any]:
    return {"body": f"<h2>{escape(attack)}</h2><p>{escape(attack)}</p>"}


def in_alt(attack: str) -> dict[str, Any]:
    return {"body": f'<img src="{PHOTOGRAPH}" alt="{escape(attack)}">'}


def in_torn_alt(attack: str) -> dict[str, Any]:
    return {"body": f'<img src="{PHOTOGRAPH}" alt="{attack}">'}


def in_link(attack: str) -> dict[str, Any]:
    return {
        "body": f'<a href="{escape(attack)}">x</a><a href="/{escape(attack)}">x</a>'
    }


def in_abbreviation(attack: str) -> dict[str, Any]:
    return {"body": f'<abbr title="{escape(attack)}">x</abbr>'}


BODIES = [in_body, in_words, in_alt, in_torn_alt, in_link, in_abbreviation]


def test_w8_there_are_enough_attacks() -> None:
    assert len(set(ATTACKS)) == len(ATTACKS) >= 100


@pytest.mark.parametrize("attack", ATTACKS)
def test_w8_an_attack_on_the_body_is_refused_or_harmless(attack: str) -> None:
    for place in BODIES:
        try:
            prepared = checked({**TEXT, **place(attack)}, renditions=of_a_photograph)
        except BadContent:
            continue
        assert list(unexpected(prepared["body"])) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_w8_an_attack_in_a_field_stays_text(attack: str) -> None:
    fields = {
        "title": attack,
        "summary": attack,
        "key_points": [attack],
        "care_cards": [{**CARD, "heading": attack, "items": [attack]}],
        "references": [{**REFERENCE, "title": attack, "publisher": attack}],
    }

    prepared = checked({**TEXT, **fields})

    expected = re.sub(r"[ \t\n]+", " ", tidy(attack)).strip()
    assert prepared["title"] == prepared["summary"] == expected
    assert prepared["key_points"] == [expected]
    assert prepared["care_cards"][0]["heading"] == expected
    assert prepared["references"][0]["title"] == expected
    assert list(unexpected(escape(expected))) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_w8_an_attack_as_an_address_is_refused(attack: str) -> None:
    fields = dict.fromkeys(("url", "year", "doi", "pmid"), attack)

    with pytest.raises(BadContent) as refused:
        checked({**TEXT, "references": [{**REFERENCE, **fields}]})

    assert [text.split()[3] for text in refused.value.problems] == list(fields)
