"""Every field is brought into its stored form or refused by name."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from articles.content import BadContent, checked
from review import digest
from tests.articles.cast import (
    CARD,
    PHOTOGRAPH,
    REFERENCE,
    TEXT,
    of_a_photograph,
    of_nothing,
)


def test_only_title_summary_and_body_are_needed() -> None:
    assert checked(TEXT) == {
        **TEXT,
        "format": "article/1",
        "key_points": [],
        "care_cards": [],
        "references": [],
    }


def test_texts_are_tidied() -> None:
    prepared = checked(
        {
            **TEXT,
            "title": " Muscle\u200b\n twitching\u202e ",
            "summary": "Cafe\u0301\u2028 talk",
            "key_points": ["", " one\x07 ", "\u200b \n"],
        }
    )

    assert prepared["title"] == "Muscle twitching"
    assert prepared["summary"] == "Caf\u00e9 talk"
    assert prepared["key_points"] == ["one"]


def test_a_card_and_a_reference_get_their_empty_fields() -> None:
    prepared = checked({**TEXT, "care_cards": [CARD], "references": [REFERENCE]})

    assert prepared["care_cards"] == [{**CARD, "closing": "", "cites": []}]
    assert prepared["references"] == [
        {**REFERENCE, "publisher": "", "url": "", "year": "", "doi": "", "pmid": ""}
    ]


def with_card(**changes: Any) -> dict[str, Any]:
    return {"care_cards": [CARD, {**CARD, **changes}]}


def with_reference(**changes: Any) -> dict[str, Any]:
    return {"references": [REFERENCE, {**REFERENCE, "number": 2, **changes}]}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"title": " \u200b"}, "The title is missing."),
        ({"title": None}, "The title is missing."),
        ({"title": 7}, "The title must be a text."),
        ({"title": "x" * 121}, "The title has 121 characters; it may have 120."),
        ({"summary": ""}, "The summary is missing."),
        ({"summary": "x" * 301}, "The summary has 301 characters; it may have 300."),
        ({"body": None}, "The body is missing."),
        ({"body": ["x"]}, "The body is missing."),
        ({"body": "<p> </p>"}, "The body is empty."),
        ({"format": "article/2"}, "The format must be article/1."),
        ({"author": "x"}, "The content has an unknown field “author”."),
        ({"key_points": "x"}, "The key points must be a list."),
        ({"key_points": [1]}, "The key point 1 must be a text."),
        ({"key_points": ["x", "y" * 301]}, "The key point 2 has 301 characters"),
        ({"key_points": ["x"] * 21}, "There are 21 key points; there may be 20."),
        ({"care_cards": ["x"]}, "The care cards must be made of fields."),
        (with_card(level="mild"), "Care card 2: 'mild' is no level of care."),
        (with_card(level=["urgent"]), "Care card 2: ['urgent'] is no level of care."),
        (with_card(heading=" "), "The care card 2, heading is missing."),
        (with_card(items=["", " "]), "Care card 2 needs at least one item."),
        (with_card(items=None), "Care card 2 needs at least one item."),
        (with_card(colour="red"), "The care card 2 has an unknown field “colour”."),
        (with_card(cites=[1]), "Care card 2 cites reference 1, which is not"),
        (with_card(cites=["1"]), "The care card 2, cites must be numbers"),
        ({"references": [{**REFERENCE, "number": 2}]}, "of reference 1 must be 1"),
        ({"references": [{**REFERENCE, "number": True}]}, "of reference 1 must be 1"),
        ({"references": [{"title": "x"}]}, "The number of reference 1 must be 1"),
        (with_reference(title=""), "The reference 2, title is missing."),
        (with_reference(url="ftp://x"), "The reference 2, url must start with https"),
        (with_reference(url="javascript:alert(1)"), "reference 2, url must start with"),
        (with_reference(url="//example.com"), "reference 2, url must start with"),
        (with_reference(doi="doi:10.1000/x"), "The reference 2, doi must look like"),
        (with_reference(pmid="PMC1"), "The reference 2, pmid must be a number"),
        (with_reference(year="n.d."), "The reference 2, year must have four digits"),
        (with_reference(isbn="x"), "The reference 2 has an unknown field “isbn”."),
        ({"body": '<a href="#ref-3">3</a>'}, "The body cites reference 3, which is"),
    ],
)
def test_every_refusal_names_the_field(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadContent, match=re.escape(complaint)):
        checked({**TEXT, **changes})


def test_all_fields_are_judged_at_once() -> None:
    with pytest.raises(BadContent) as refused:
        checked({"body": "<script></script>", "references": [{"number": 1}]})

    assert refused.value.problems == [
        "The title is missing.",
        "The summary is missing.",
        "The reference 1, title is missing.",
        "The text holds a <script>, which an article can't. Take it out.",
    ]


def test_pictures_are_looked_up_where_it_is_told() -> None:
    content = {**TEXT, "body": f'<img src="{PHOTOGRAPH}" alt="">'}

    prepared = checked(content, renditions=of_a_photograph)

    assert prepared["body"].startswith("<picture>")
    with pytest.raises(BadContent, match="There is no picture"):
        checked(content, renditions=of_nothing)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["level", "items", "cites", "number", "title", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["title", "key_points", "care_cards", "references", "body"]),
        VALUES,
    )
)
def test_a_draft_of_any_shape_is_checked_or_refused(changes: dict[str, Any]) -> None:
    try:
        once = checked({**TEXT, **changes})
    except BadContent:
        return

    assert checked(once) == once
    assert len(digest(once)) == 64
