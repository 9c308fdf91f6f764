"""The word diff never hides a change, and lights up what is dangerous to change."""

import re
from copy import deepcopy
from typing import Any

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from review.content import Content, canonical
from review.difference import Difference, Part
from review.diffing import compare
from review.flattening import flatten
from review.risks import risk_of, visible, words

PICTURE = f"/pictures/{'a' * 64}.svg"
OTHER_PICTURE = f"/pictures/{'b' * 64}.svg"
FIGURE = (
    f'<figure><img src="{PICTURE}" alt="An eyelid." width="340" height="340">'
    "<figcaption>The lid at rest.</figcaption></figure>\n"
)
CITED = '<sup class="citation"><a href="#ref-1" id="cite-1-1">1</a></sup>'
BODY = (
    '<h2 id="treatment">Treatment</h2>\n'
    f"<p>Take 5 mg twice a day for 2 weeks.{CITED} Do not stop suddenly.</p>\n"
    "<p>Don't drive. Read about "
    '<a href="/articles/eyelid-twitch/">eyelid twitch</a>.</p>\n'
    "<ul>\n<li>Rest your eyes.</li>\n<li>Drink less coffee.</li>\n</ul>\n"
    f"{FIGURE}<table>\n<tbody>\n<tr>\n<td>Adults</td>\n<td>400 mg</td>\n</tr>\n"
    "</tbody>\n</table>\n<p>Call 999 if your face droops.</p>"
)
ARTICLE: dict[str, Any] = {
    "format": "article/1",
    "title": "Eyelid twitch",
    "summary": "It is common and nearly always harmless.",
    "key_points": ["It stops by itself.", "See a doctor after 2 weeks."],
    "body": BODY,
    "care_cards": [
        {
            "level": "emergency",
            "heading": "Call 999 now if:",
            "items": ["your face droops", "your speech is slurred"],
            "closing": "",
            "cites": [1],
        },
        {
            "level": "non-urgent",
            "heading": "See a doctor if:",
            "items": ["it lasts"],
            "closing": "",
            "cites": [],
        },
    ],
    "references": [
        {
            "number": 1,
            "publisher": "NHS",
            "title": "Twitching eyes",
            "url": "https://www.nhs.uk/conditions/twitching-eyes/",
            "year": "2024",
            "doi": "",
            "pmid": "25405219",
        },
        {
            "number": 2,
            "publisher": "MSD",
            "title": "Blepharospasm",
            "url": "https://www.msdmanuals.com/",
            "year": "",
            "doi": "",
            "pmid": "",
        },
    ],
}
TIP: dict[str, Any] = {
    "format": "tip/1",
    "subject": "Rest your eyes",
    "preheader": "A break of 20 seconds.",
    "html": "<p>Look away for 20 seconds.</p>\n",
    "text": "Look away for 20\nseconds.\n\nThen blink.",
}


def edited(old: str, new: str, field: str = "body") -> dict[str, Any]:
    assert old in ARTICLE[field]
    return {**ARTICLE, field: ARTICLE[field].replace(old, new, 1)}


def changed_to(new: object, *path: Any) -> dict[str, Any]:
    copy = deepcopy(ARTICLE)
    *way, last = path
    place: Any = copy
    for step in way:
        place = place[step]
    place[last] = new
    return copy


def marked(difference: Difference, op: str) -> list[tuple[str, str]]:
    """Words with this fate and their risk, white space left out."""
    return [
        (word.text.strip(), word.risk)
        for part in difference.parts
        for word in part.words
        if word.op == op and word.text.strip()
    ]


def only_change(new: Content, old: Content = ARTICLE) -> Part:
    [part] = compare(old, new).changed
    return part


@pytest.mark.parametrize(
    ("old", "new", "removed", "added"),
    [
        ("5 mg", "50 mg", [("5 mg", "dose")], [("50 mg", "dose")]),
        ("5 mg", ".5 mg", [("5 mg", "dose")], [(".5 mg", "dose")]),
        ("5 mg", "5 mcg", [("5 mg", "dose")], [("5 mcg", "dose")]),
        ("2 weeks", "2 days", [("2 weeks", "dose")], [("2 days", "dose")]),
        ("twice", "once", [("twice", "number")], [("once", "number")]),
        ("a day", "a week", [("day", "unit")], [("week", "unit")]),
        ("Do not stop", "Do stop", [("not", "negation")], []),
        ("Don't", "Do", [("Don't", "negation")], [("Do", "")]),
        ("Don't", "Don’t", [("Don't", "negation")], [("Don’t", "negation")]),
        ("stop", "go on", [("stop", "negation")], [("go on", "")]),
        ("999", "998", [("999", "emergency")], [("998", "number")]),
        ("Call 999", "Call", [("999", "emergency")], []),
        ("less", "more", [("less", "limit")], [("more", "limit")]),
    ],
)
def test_m3_a_dangerous_change_is_lit_up(
    old: str, new: str, removed: list[object], added: list[object]
) -> None:
    difference = compare(ARTICLE, edited(old, new))

    assert marked(difference, "removed") == removed
    assert marked(difference, "added") == added


@pytest.mark.parametrize(
    ("new", "label", "removed", "added"),
    [
        (
            edited("An eyelid.", "A lip."),
            "Picture: description (alt text)",
            "An eyelid",
            "A lip",
        ),
        (edited(PICTURE, OTHER_PICTURE), "Picture: file", PICTURE, OTHER_PICTURE),
        (edited("at rest", "in spasm"), "Picture: caption", "at rest", "in spasm"),
        (
            edited("/articles/eyelid-twitch/", "/x/"),
            "Link",
            "/articles/eyelid-twitch/",
            "/x/",
        ),
        (edited("400 mg", "40 mg"), "Body: table cell", "400 mg", "40 mg"),
        (
            changed_to("urgent", "care_cards", 1, "level"),
            "Care card 2 (urgent): level",
            "non-urgent",
            "urgent",
        ),
        (
            changed_to("it hurts", "care_cards", 1, "items", 0),
            "Care card 2 (non-urgent): item",
            "lasts",
            "hurts",
        ),
        (
            changed_to("https://x.example/", "references", 0, "url"),
            "Reference 1: URL",
            "https://www.nhs.uk/conditions/twitching-eyes/",
            "https://x.example/",
        ),
        (
            changed_to("25405210", "references", 0, "pmid"),
            "Reference 1: PMID",
            "25405219",
            "25405210",
        ),
        (changed_to("It stops.", "key_points", 0), "Key point 1", " by itself", ""),
        (changed_to("Lip twitch", "title"), "Title", "Eyelid", "Lip"),
    ],
)
def test_m3_every_field_is_named_and_shown(
    new: Content, label: str, removed: str, added: str
) -> None:
    part = only_change(new)

    assert part.label == label
    assert part.kind == "changed"
    assert "".join(w.text for w in part.words if w.op == "removed") == removed
    assert "".join(w.text for w in part.words if w.op == "added") == added


@pytest.mark.parametrize(
    ("new", "risk"),
    [
        (changed_to("urgent", "care_cards", 0, "level"), "emergency"),
        (changed_to("urgent", "care_cards", 1, "level"), "emergency"),
        (changed_to("25405210", "references", 0, "pmid"), "number"),
    ],
)
def test_m3_a_level_of_care_and_a_source_are_lit_up_too(
    new: Content, risk: str
) -> None:
    difference = compare(ARTICLE, new)

    assert {risk for _, risk in marked(difference, "removed")} == {risk}
    assert {risk for _, risk in marked(difference, "added")} == {risk}


def test_m3_a_moved_paragraph_with_a_dose_is_lit_up_at_both_places() -> None:
    dose = "<p>Take 7 mg at night.</p>\n"
    old = edited('<h2 id="treatment">', dose + '<h2 id="treatment">')
    new = {**old, "body": old["body"].replace(dose, "") + "\n" + dose}

    difference = compare(old, new)

    assert ("7 mg", "dose") in marked(difference, "removed")
    assert ("7 mg", "dose") in marked(difference, "added")


@pytest.mark.parametrize("between", [" ", "</p>\n<p>"])
def test_m3_a_change_in_repetitive_text_is_lit_up(between: str) -> None:
    phrases = ["Take 5 mg at night. Do not take more."] * 60
    old = {**ARTICLE, "body": f"<p>{between.join(phrases)}</p>"}
    phrases[31] = "Take 50 mg at night. Do take more."
    new = {**ARTICLE, "body": f"<p>{between.join(phrases)}</p>"}

    difference = compare(old, new)

    assert marked(difference, "removed") == [("5 mg", "dose"), ("not", "negation")]
    assert marked(difference, "added") == [("50 mg", "dose")]
    assert len(difference.changed) == 1


@pytest.mark.parametrize(
    ("before", "after", "lit"),
    [
        ("Do n<em>o</em>t stop.", "Do stop.", ["n", "o", "t"]),
        ("Do <strong>n</strong>ot stop.", "Do stop.", ["n", "ot"]),
        ("Do n<em>o</em>t stop.", "Do n<em>o</em>w stop.", ["t"]),
        ("Call 9<em>9</em>9.", "Call 9<em>9</em>8.", ["9"]),
        ("Do<em> no</em>t stop.", "Do stop.", ["no", "t"]),
    ],
)
def test_m3_marks_inside_a_word_hide_no_danger(
    before: str, after: str, lit: list[str]
) -> None:
    texts = [{**ARTICLE, "body": f"<p>{one}</p>"} for one in (before, after)]

    removed = marked(compare(*texts), "removed")

    assert [text for text, risk in removed if risk] == lit


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("not", "n\u200bot", "n⟨U+200B⟩ot"),
        ("not", "n\u043et", "n⟨U+043E⟩t"),
        ("5 mg", "5&nbsp;mg", "5⟨U+00A0⟩mg"),
        ("5 mg", "\uff15 mg", "⟨U+FF15⟩ mg"),
        ("Treatment<", "Treatment\u202e<", "Treatment⟨U+202E⟩"),
    ],
)
def test_m3_unseen_and_lookalike_characters_are_spelled_out(
    old: str, new: str, shown: str
) -> None:
    added = marked(compare(ARTICLE, edited(old, new)), "added")

    assert [word for word, _ in added] == [shown]
    assert {risk for _, risk in added} == {risk_of(old.rstrip("<"))}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Rest your eyes", "<strong>Rest</strong> your eyes"),
        ('id="treatment"', 'id="therapy"'),
        ('width="340"', 'width="34"'),
        ("<td>Adults", '<td colspan="2">Adults'),
        ("<ul>\n<li>Rest", "<ol>\n<li>Rest"),
        ("</h2>\n", "</h2>"),
        ("Take 5", "Take  5"),
        ("<p>Call", "<h3>Call"),
        (" droops.</p>", " droops.</p><!-- 50 mg -->"),
        ("Don't", "Don&#39;t"),
        (CITED, ""),
        (CITED, CITED.replace("ref-1", "ref-2")),
        ('<a href="/articles/eyelid-twitch/">eyelid twitch</a>', "eyelid twitch"),
    ],
)
def test_m3_what_nobody_sees_is_shown_when_it_changes(old: str, new: str) -> None:
    assert not compare(ARTICLE, edited(old, new)).is_empty


def test_a_change_of_markup_is_shown_beside_a_change_of_words() -> None:
    new = edited("Don't", "Don&#39;t")
    new["title"] = "Lid twitch"

    labels = [part.label for part in compare(ARTICLE, new).changed]

    assert labels == ["Title", "Body: markup"]


def test_one_reference_more_does_not_light_up_the_others() -> None:
    new = deepcopy(ARTICLE)
    new["references"].insert(0, {**new["references"][0], "title": "Another"})
    for number, reference in enumerate(new["references"], 1):
        reference["number"] = number

    changed = compare(ARTICLE, new).changed

    assert {part.kind for part in changed} == {"added"}
    assert {part.label.split(":")[0] for part in changed} == {"Reference 1"}


def test_a_row_more_in_a_table_is_an_added_row() -> None:
    row = "<tr>\n<td>Children</td>\n<td>80 mg</td>\n</tr>\n"
    new = edited("</tbody>", f"{row}</tbody>")

    difference = compare(ARTICLE, new)

    assert marked(difference, "removed") == []
    assert ("80 mg", "dose") in marked(difference, "added")


def test_an_unknown_field_is_compared_like_any_other() -> None:
    old: Content = {
        "format": "leaflet/7",
        "box_warnings": [{"dose": "5 mg", "shown": True}],
    }
    new: Content = {
        "format": "leaflet/7",
        "box_warnings": [{"dose": "6 mg", "shown": True}],
    }

    part = only_change(new, old)

    assert part.label == "box warnings 1: dose"
    assert (part.old_text, part.new_text) == ("5 mg", "6 mg")


def test_without_an_older_text_everything_is_new_and_risks_are_marked() -> None:
    difference = compare(None, TIP)

    assert {part.kind for part in difference.parts} == {"added"}
    assert ("20 seconds", "dose") in marked(difference, "added")
    assert difference.risks == ["3 parts name a dose or amount"]


def test_risks_are_counted_in_places_the_gravest_first() -> None:
    new = edited("5 mg", "50 mg")
    new["summary"] = "It is never common and nearly always harmless."
    new["key_points"] = ["It stops by itself.", "See a doctor after 3 weeks."]

    risks = compare(ARTICLE, new).risks

    assert risks == [
        "2 changes touch a dose or amount",
        "1 change touches a “not” or “never”",
    ]


def test_unchanged_parts_are_left_out_but_for_the_neighbours() -> None:
    stretches = compare(ARTICLE, edited("Rest your", "Close your")).stretches

    assert [len(stretch.parts) for stretch in stretches] == [3, 0]
    assert [part.kind for part in stretches[0].parts] == ["same", "changed", "same"]
    assert all(stretch.hidden for stretch in stretches)


def test_a_dose_and_a_warning_are_words_of_their_own() -> None:
    text = "5-10 mg, 1.5 ml or 400 micrograms at least twice; can’t call A&E: 10 %."

    found = {word: risk_of(word) for _, word in words(text) if risk_of(word)}

    assert found == {
        "5-10 mg": "dose",
        "1.5 ml": "dose",
        "400 micrograms": "dose",
        "at least": "limit",
        "twice": "number",
        "can’t": "negation",
        "call": "emergency",
        "A&E": "emergency",
        "10 %": "dose",
    }


def rendered(difference: Difference) -> str:
    return render_to_string("review/includes/diff.html", {"difference": difference})


def test_the_page_escapes_what_it_shows() -> None:
    new = {**ARTICLE, "title": "<script>alert(1)</script>", "<b>x": "<i>y"}

    html = rendered(compare(ARTICLE, new))

    assert "alert" in html
    assert not re.search(r"<(script|b|i)>", html)


def test_the_page_says_in_words_what_happened() -> None:
    text = re.sub("<[^>]+>", "", rendered(compare(ARTICLE, edited("5 mg", "50 mg"))))

    assert "1 change touches a dose or amount" in text
    assert "removed: 5 mg dose" in text
    assert "added: 50 mg dose" in text
    assert re.search(r"… \d+ unchanged parts", text)


def test_the_page_says_when_nothing_changed() -> None:
    assert "Nothing changed" in rendered(compare(ARTICLE, ARTICLE))


# Few words, so that texts collide, repeat and differ in what is unseen alone.
VOCABULARY = (
    *("Take", "not", "5 mg", "50 mg", "2 weeks", "at", "night.", "999", "don't", "a"),
    *("the", "twice", "⟨bold⟩", "[1]", "n\u200bot", "\u00e9", "2", "mg"),
)
SPACES = (" ", " ", " ", "  ", "\n", "\n\n", "\u00a0", "")


@st.composite
def texts(draw: st.DrawFn) -> str:
    pairs = st.tuples(st.sampled_from(VOCABULARY), st.sampled_from(SPACES))
    return "".join(word + space for word, space in draw(st.lists(pairs, max_size=6)))


def wrapped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tags = st.sampled_from(
        [
            *("p", "li", "ul", "strong", "em", "td", "tr", "blockquote", "sup", "h2"),
            *(
                'a href="/x/"',
                'a href="/y/" id="z"',
                'h2 id="a"',
                'sup class="citation"',
            ),
            *('a href="#ref-1" id="cite-1-1"', 'abbr title="a 5 mg"', 'td colspan="2"'),
        ]
    )
    return st.builds(lambda tag, text: f"<{tag}>{text}</{tag.split()[0]}>", tags, inner)


BITS = st.one_of(
    texts().map(lambda text: text.replace("\u00a0", "&nbsp;")),
    st.sampled_from(
        [
            *(
                "<p>Do not take more.</p>\n",
                "\n",
                " ",
                "<br>",
                "1",
                CITED,
                "<p>",
                "</p>",
            ),
            *(
                "<![x[",
                "<!-- 5 mg -->",
                "&amp;",
                "&lt;p&gt;",
                "<P>a</P>",
                "<b>a</b>",
                FIGURE,
            ),
            *('<img alt="a" src="/b">', '<img src="/b" alt="a">', '<img src="/b">'),
        ]
    ),
)
HTML = st.lists(
    st.recursive(BITS, lambda inner: wrapped(st.lists(inner, max_size=2).map("".join))),
    max_size=5,
).map("".join)
CARDS = st.fixed_dictionaries(
    {
        "level": st.sampled_from(["emergency", "urgent", "non-urgent"]),
        "heading": texts(),
        "items": st.lists(texts(), max_size=2),
        "closing": texts(),
        "cites": st.lists(st.integers(1, 3), max_size=2),
    }
)
REFERENCES = st.fixed_dictionaries(
    {name: texts() for name in ("publisher", "title", "url", "year", "doi", "pmid")}
    | {"number": st.integers(1, 3)}
)
ANYTHING = st.recursive(
    st.one_of(texts(), st.integers(0, 2), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["level", "items", "a", ""]), inner, max_size=2
        ),
    ),
    max_leaves=5,
)
CONTENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"format": st.sampled_from(["article/1", "tip/1"])},
    optional={
        "title": texts(),
        "text": texts(),
        "key_points": st.lists(texts(), max_size=3),
        "body": HTML,
        "care_cards": st.lists(CARDS | ANYTHING, max_size=2),
        "references": st.lists(REFERENCES | ANYTHING, max_size=2),
        "other": ANYTHING,
    },
)


@st.composite
def edits(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A content, and the same with one field drawn anew or with something put in."""
    old, other = draw(CONTENTS), draw(CONTENTS)
    field = draw(st.sampled_from(sorted(other)))
    value = old.get(field)
    if field == "format" or not isinstance(value, str):
        return old, {**old, field: other[field]}
    at = draw(st.integers(0, len(value)))
    piece = draw(st.sampled_from([*VOCABULARY, *SPACES, "<p>", "<br>"]))
    return old, {**old, field: value[:at] + piece + value[at:]}


@given(edits())
def test_m3_the_diff_is_empty_exactly_if_the_bytes_are_equal(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    old, new = pair

    assert compare(old, new).is_empty == (canonical(old) == canonical(new))


@given(HTML, HTML)
def test_different_bodies_never_read_the_same(one: str, other: str) -> None:
    passages = [flatten({"format": "x", "body": html}) for html in (one, other)]

    assert (passages[0] == passages[1]) == (one == other)


@given(st.tuples(ANYTHING, ANYTHING))
def test_different_values_never_read_the_same(pair: tuple[object, object]) -> None:
    one, other = ({"format": "x", "care_cards": value} for value in pair)

    assert (flatten(one) == flatten(other)) == (canonical(one) == canonical(other))


@given(texts(), texts())
def test_words_removed_and_kept_are_the_old_text_added_and_kept_the_new(
    old: str, new: str
) -> None:
    # One part, as text without an empty line is.
    old, new = re.sub("\n+", "\n", old), re.sub("\n+", "\n", new)

    part, _ = compare(
        {"format": "x", "title": old}, {"format": "x", "title": new}
    ).parts

    assert part.old_text == visible(old)
    assert part.new_text == visible(new)


@given(
    CONTENTS, st.sampled_from(["title", "body", "item", "closing"]), texts(), texts()
)
def test_m3_a_replaced_dose_is_lit_up_wherever_it_stands(
    content: dict[str, Any], place: str, before: str, after: str
) -> None:
    def with_dose(dose: str) -> dict[str, Any]:
        text = f"{before} take {dose} please {after}"
        places: dict[str, dict[str, Any]] = {
            "title": {"title": text},
            "body": {"body": f"{content.get('body', '')}<p>{text}</p>"},
            "item": {"key_points": [*content.get("key_points", []), text]},
            "closing": {"care_cards": [{"level": "urgent", "closing": text}]},
        }
        return {**content, **places[place]}

    difference = compare(with_dose("7 mg"), with_dose("70 mg"))

    assert ("7 mg", "dose") in marked(difference, "removed")
    assert ("70 mg", "dose") in marked(difference, "added")
