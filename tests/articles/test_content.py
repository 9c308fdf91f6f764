import pytest
from hypothesis import given
from hypothesis import strategies as st

from articles.content import BadContent, contents, prepare_body

PICTURE = "/pictures/" + "a" * 64 + ".svg"


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script><p>x</p>",
        '<p onclick="alert(1)">x</p>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="http://example.com">x</a>',
        '<p style="color:red">x</p>',
        "<iframe src=https://example.com></iframe><p>x</p>",
        "<svg><script>alert(1)</script></svg><p>x</p>",
        '<p class="citation">x</p>',
    ],
)
def test_w8_only_the_text_survives(html: str) -> None:
    clean = prepare_body(html)

    assert "x" in clean
    for trace in ("script", "onclick", "style", "iframe", "http:", "class", "svg"):
        assert trace not in clean


def test_headings_get_ids_and_make_the_contents() -> None:
    body = prepare_body("<h2>When to <em>act</em></h2><h3>x</h3><h2>When to act</h2>")

    assert contents(body) == [
        {"id": "when-to-act", "title": "When to act"},
        {"id": "when-to-act-2", "title": "When to act"},
    ]


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        (f'<img src="{PICTURE}">', "alt text"),
        ('<img src="https://example.com/x.png" alt="x">', "own pictures"),
        ('<img src="/pictures/../x.svg" alt="x">', "own pictures"),
    ],
)
def test_a_picture_needs_a_home_and_words(html: str, complaint: str) -> None:
    with pytest.raises(BadContent, match=complaint):
        prepare_body(html)


@given(st.text(alphabet="<>/=\"h23pax &;#'-", max_size=80))
def test_preparing_twice_changes_nothing(html: str) -> None:
    once = prepare_body(html)

    assert prepare_body(once) == once
