"""The measure of Flesch and Kincaid, as editors are shown it."""

import pytest

from review import reading
from review.readability import grade, syllables


def article(**parts: object) -> dict[str, object]:
    empty = {"summary": "", "key_points": [], "body": "", "care_cards": []}
    return {**empty, **parts}


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        *(("cat", 1), ("time", 1), ("whole", 1), ("people", 2), ("muscle", 2)),
        *(("tired", 1), ("wanted", 2), ("comes", 1), ("changes", 2), ("area", 3)),
        *(("nation", 2), ("period", 3), ("doing", 2), ("low-risk", 2), ("1,500", 1)),
        *(("mg", 1), ("magnesium", 4), ("hypomagnesaemia", 7), ("be", 1)),
    ],
)
def test_a_word_has_the_syllables_that_are_spoken(word: str, spoken: int) -> None:
    assert syllables(word) == spoken


def test_the_grade_is_the_formulas() -> None:
    # 6 words and 6 syllables in one sentence; 10 words and 15 syllables in two.
    assert grade(["The cat sat on the mat."]) == pytest.approx(
        0.39 * 6 + 11.8 * 6 / 6 - 15.59
    )
    assert grade(["Magnesium is in beans. You need it", "every day"]) == pytest.approx(
        0.39 * 9 / 3 + 11.8 * 14 / 9 - 15.59
    )


def test_an_empty_text_has_no_words_and_no_grade() -> None:
    assert (reading({}).words, reading({}).grade) == (0, 0.0)


def test_what_a_reader_sees_is_counted_and_references_are_not() -> None:
    card = {"heading": "Call now:", "items": ["a fit"], "closing": "", "cites": [1]}
    body = (
        '<h2>Overview</h2><p>Two words<sup class="citation">'
        '<a href="#ref-1">1</a></sup></p>'
    )

    found = reading(
        article(
            summary="One line.",
            body=body,
            care_cards=[card],
            references=[{"title": "Not counted"}],
        )
    )

    assert found.words == 2 + 3 + 4


def test_headings_and_tables_do_not_make_a_text_look_easier() -> None:
    running = "<p>Twitching that is felt in several muscles is frequently harmless.</p>"
    padded = running + "<h2>Go</h2><table><tr><td>No</td><td>Yes</td></tr></table>"

    assert reading(article(body=padded)).grade == reading(article(body=running)).grade


def test_a_list_inside_a_list_and_an_editors_paragraph_are_running_text() -> None:
    plain = reading(article(body="<p>One two three.</p><p>Four five six.</p>"))
    nested = '<ul><li><p class="x">One two three.</p><ul><li>Four five six.</li></ul>'

    assert reading(article(body=f"{nested}</li></ul>")).grade == plain.grade


def test_editors_are_told_length_age_and_aim() -> None:
    text = "A twitch in a muscle is often harmless, and it will usually go away. "

    told = str(reading({"preheader": "", "html": f"<p>{text * 100}</p>"}))

    assert told == (
        "1,400 words, reading age 13 (Flesch-Kincaid grade 7.6); aim for 11 to 13."
    )
