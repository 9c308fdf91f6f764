"""The Markdown twin says what the page says, to the last exponent."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pytest_django import Settings

from articles.body import prepare_body
from articles.editing import revise
from articles.markdown import body, escaped
from articles.publishing import publish
from tests.articles.test_publishing import TEXT, approve, make_article

HTTPS = {"X-Forwarded-Proto": "https"}
READER = MarkdownIt("gfm-like", {"linkify": False})
GOLDEN = [
    ("<p>150 × 10<sup>9</sup>/L</p>", "150 × 10<sup>9</sup>/L"),
    ("<p>2 × 10<sup>-6</sup> mol</p>", "2 × 10<sup>-6</sup> mol"),
    ("<p>H<sub>2</sub>O</p>", "H<sub>2</sub>O"),
    (
        '<p>So.<sup class="citation"><a href="#ref-1">1</a></sup>(never)</p>',
        r"So.[1]\(never)",
    ),
    ("<p>&lt;b&gt; and &amp;lt; and 1 &lt; 2</p>", r"\<b> and \&lt; and 1 \< 2"),
    ("<p>- 5<br>1. x</p>", "\\- 5\\\n1\\. x"),
    ("<p><strong>(5 mg)</strong>now</p>", "<strong>(5 mg)</strong>now"),
    ("<p>Take <strong>5 mg</strong>.</p>", "Take **5 mg**."),
    (
        '<p>Stop!<a href="https://nhs.uk/a_(b)">Go</a></p>',
        r"Stop\![Go](https://nhs.uk/a_%28b%29)",
    ),
    ('<p><abbr title="not before food">NBF</abbr></p>', "NBF (not before food)"),
    (
        "<table><thead><tr><th>Dose</th><th>a|b</th></tr></thead><tbody>"
        "<tr><td>5 mg</td><td>not<br>50</td></tr></tbody></table>",
        "| Dose | a\\|b |\n| --- | --- |\n| 5 mg | not<br>50 |",
    ),
    (
        '<table><tbody><tr><td rowspan="2">5 mg</td><td>adults</td></tr>'
        "<tr><td>children</td></tr></tbody></table>",
        '<table><tbody><tr><td rowspan="2">5 mg</td><td>adults</td></tr>'
        "<tr><td>children</td></tr></tbody></table>",
    ),
]


@pytest.mark.parametrize(("html", "markdown"), GOLDEN)
def test_m1_the_twin_keeps_every_mark(html: str, markdown: str) -> None:
    assert body(prepare_body(html)) == markdown


def seen(html: str) -> str:
    """Letters, digits, raised and lowered: what a dose is made of, in order."""
    named = re.sub(r'<abbr title="([^"]*)">(.*?)</abbr>', r"\2\1", html)
    flat = re.sub(r'<sup class="citation">(.*?)</sup>', r"\1", named)
    marked = re.sub(r"<(/?su[bp])>", r"«\1»", flat)
    words = re.sub(r"<[^>]+>", "", marked).replace("&lt;", "").replace("&gt;", "")
    words = words.replace("&amp;", "").replace("&nbsp;", "").replace("&quot;", "")
    return "".join(re.findall(r"«/?su[bp]»|\w", words))


PLAIN = st.text(
    st.sampled_from("ab19 -+.)(!?*_`~#|[]:@/\\&<>=;,x"), min_size=1, max_size=8
).map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;"))
WRAPPED = st.sampled_from(
    [
        *("{}", "{}", "<strong>{}</strong>", "<em>{}</em>", "10<sup>{}</sup>"),
        *("H<sub>{}</sub>", '<a href="/x_(y)">{}</a>', "{}<br>"),
        '{}<sup class="citation"><a href="#ref-1">1</a></sup>',
    ]
)
INLINE = st.lists(
    st.builds(lambda around, text: around.format(text), WRAPPED, PLAIN), min_size=1
).map("".join)
BLOCK = st.builds(
    lambda around, text: around.format(text),
    st.sampled_from(
        [
            *("<p>{}</p>", "<h2>{}</h2>", "<ul><li>{}</li></ul>"),
            *('<ol start="3"><li>{}</li></ol>', "<blockquote><p>{}</p></blockquote>"),
            "<table><thead><tr><th>x</th></tr></thead><tbody><tr><td>{}</td></tr>"
            "</tbody></table>",
            '<table><tbody><tr><td rowspan="2">{}</td></tr></tbody></table>',
        ]
    ),
    INLINE,
)


@given(st.lists(BLOCK, min_size=1, max_size=4).map("".join))
def test_m1_every_word_of_the_body_is_in_the_twin_in_order(html: str) -> None:
    stored = prepare_body(html)

    assert seen(READER.render(body(stored))) == seen(stored)


@given(st.text(st.sampled_from("ab1 -+.)(!*_`~#|[]:@/\\&<>=;\n"), max_size=12))
def test_a_field_stays_text(text: str) -> None:
    line = re.sub("[ \n]+", " ", text).strip()

    parsed = READER.parse(escaped(text))

    inline = [part for one in parsed for part in one.children or ()]
    kinds = {"paragraph_open", "inline", "paragraph_close"}
    assert {one.type for one in parsed} == (kinds if line else set())
    assert {one.type for one in inline} <= {"text", "text_special"}
    assert "".join(one.content for one in inline) == line


def test_nothing_in_a_field_becomes_a_link_or_a_tag(
    db: None, settings: Settings, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    link = "[x](javascript:alert(1)) <script>"
    text: dict[str, Any] = {
        **TEXT,
        "title": f"# A {link}",
        "summary": f"1. {link}",
        "key_points": [link],
        "care_cards": [
            {
                "level": "emergency",
                "heading": link,
                "items": [link],
                "closing": link,
                "cites": [1],
            }
        ],
        "references": [{"number": 1, "publisher": link, "title": link}],
    }
    revision, _ = revise(make_article(), text, by=None, byline=link)
    approve(revision)
    publish(revision)

    twin = Client(headers=HTTPS).get("/articles/muscle-twitching.md").content.decode()

    assert twin.startswith(r"# \# A \[x\](javascript:alert(1)) \<script>")
    assert "### Emergency: " in twin
    assert "Sources: [1]" in twin
    rendered = READER.render(twin)
    assert "<a href" not in rendered
    assert "<script>" not in rendered
