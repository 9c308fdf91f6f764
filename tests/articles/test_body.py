"""Only the text survives, and all of it, and preparing it again changes nothing."""

import re
import time
from contextlib import suppress
from html import escape
from typing import Any
from unicodedata import normalize

import nh3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from articles.cleaning import sanitised, tidy
from articles.content import BadContent, checked, contents, prepare_body
from articles.library_files import read_article
from articles.loading import LIBRARY
from review import digest
from tests.articles.cast import (
    PHOTOGRAPH,
    PICTURE,
    Outline,
    of_a_drawing,
    of_a_photograph,
    of_nothing,
)


def test_the_text_of_the_library_is_stored_as_it_always_was() -> None:
    article = read_article(LIBRARY / "vagus-nerve.md")

    body = prepare_body(article.content["body"])

    figure = re.search(r"<figure>(.*?)<figcaption>", body)
    assert figure
    assert re.fullmatch(
        r'<img src="/pictures/[0-9a-f]{64}\.svg" alt="[^"]+" width="392" height="560">',
        figure[1],
    )
    assert '<sup class="citation"><a href="#ref-1" id="cite-1-1">1</a></sup>' in body


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.md")), ids=lambda p: p.stem)
def test_checking_a_library_text_again_changes_nothing(path: Any) -> None:
    once = checked(read_article(path).content)

    assert checked(once) == once
    assert digest(checked(once)) == digest(once)


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<script>alert(1)</script><p>x</p>", "<script>, which an article can't"),
        ("<iframe src=https://example.com></iframe><p>x</p>", "<iframe>"),
        ("<object></object>", "<object>"),
        ("<embed>", "<embed>"),
        ("<form><p>x</p></form>", "<form>"),
        ("<svg><p>x</p></svg>", "<svg>"),
        ("<math>x</math>", "<math>"),
        ('<p onclick="alert(1)">x</p>', "“onclick”"),
        ('<nobody onclick="alert(1)">x</nobody>', "“onclick”"),
        ("<p>Take <s>50</s> 5 mg</p>", "struck out"),
        ('<p>Take <span style="text-decoration: line-through">50</span>', "struck out"),
        ("<p>x</p><!-- and the rest", "inside a comment"),
        ("<i>" * 100 + "x", "nested too deeply"),
    ],
)
def test_w8_what_would_vanish_is_refused(html: str, complaint: str) -> None:
    with pytest.raises(BadContent, match=re.escape(complaint)):
        prepare_body(html)


@pytest.mark.parametrize(
    "href",
    [
        *(
            "javascript:alert(1)",
            "data:text/html,x",
            "http://example.com",
            "mailto:a@b",
        ),
        *("//example.com", "/\\example.com", "example.com", "../x", "", "#", "?q=x"),
        *("https://", "https:///x", "https://a@b/", "https://a b/", "https://a:b/"),
    ],
)
def test_a_link_leads_to_https_or_this_site(href: str) -> None:
    with pytest.raises(BadContent, match="must start with https:// or /"):
        prepare_body(f'<a href="{href}">x</a>')


def test_a_link_inside_another_is_looked_at_too() -> None:
    with pytest.raises(BadContent, match="The link “x” must"):
        prepare_body("<a href=x><table><tr><td><a href=/y>z</a></table></a>")


@pytest.mark.parametrize(
    "href", ["https://example.com", "https://a.example:8/b?c=d#e", "/trust/", "/", "#x"]
)
def test_a_good_link_is_kept(href: str) -> None:
    assert prepare_body(f'<a href=" {href}\n">x</a>') == f'<a href="{href}">x</a>'


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadContent) as refused:
        prepare_body(f'<a href="x">y</a><script></script><img src="{PICTURE}">')

    assert refused.value.problems == [
        "The link “x” must start with https:// or /.",
        "The text holds a <script>, which an article can't. Take it out.",
        "A picture needs alt text: say what it shows, or choose “decorative”.",
    ]
    assert str(refused.value) == " ".join(refused.value.problems)


FROM_WORD = """
<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><title>Doc1</title>
<meta name=Generator content="Microsoft Word 15"><link rel=File-List href="f.xml">
<!--[if gte mso 9]><xml><o:OfficeDocumentSettings/></xml><![endif]-->
<style><!-- p.MsoNormal {margin:0cm} --></style></head><body lang=EN-GB>
<h1 style='mso-list:l0'><a name="_Toc1"></a>Over\u00adview<o:p></o:p></h1>
<p class=MsoNormal><span lang=EN style='font-size:11pt'>Take <b>5</b>&nbsp;mg</span>
<i>daily</i>.<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>
<p><![if !supportLists]><font face=Symbol>-</font><![endif]>one</p><h4> </h4>
</body></html>
"""


def test_a_word_processors_packaging_goes_silently() -> None:
    body = prepare_body(FROM_WORD)

    assert re.sub(r"\s+", " ", body).strip() == (
        '<h2 id="overview">Overview</h2> <p>Take <strong>5</strong>&nbsp;mg '
        "<em>daily</em>.</p> <p>-one</p>"
    )


@pytest.mark.parametrize(
    ("html", "body"),
    [
        ("<div>a</div><div>b<div>c</div></div>", "<p>a</p><p>b</p><p>c</p>"),
        ("<b style='font-weight:normal'><p>a</p></b>", "<p>a</p>"),
        ("<h5>a</h5>", '<h3 id="a">a</h3>'),
        ("<h2> <br></h2><h3>&nbsp;</h3><p>a</p>", "<p>a</p>"),
        ("<p>a<strong> </strong>b</p>", "<p>a b</p>"),
        (
            "<p>a\u200b\u202e\u2066\ufeff\x07\x9fb\tc\u2028d\r\ne</p>",
            "<p>ab\tc d\ne</p>",
        ),
        ("<p>a&#8203;&#x202e;&shy;&#7;b</p>", "<p>ab</p>"),
        ("<p>e\u0301</p>", "<p>\u00e9</p>"),
        ("<p>\u0338a &#824;b</p>", "<p>a \u0338b</p>"),
        ("<ol start=3 type=a><li value=4>x</ol>", '<ol start="3"><li>x</li></ol>'),
        ("<p>1 < 2 & 3 > 2</p>", "<p>1 &lt; 2 &amp; 3 &gt; 2</p>"),
    ],
)
def test_what_editors_tools_write_becomes_what_they_mean(html: str, body: str) -> None:
    assert prepare_body(html) == body


def test_too_much_text_is_refused_with_its_size() -> None:
    with pytest.raises(BadContent, match=r"2\.0 MB; .* at most 200,000 characters"):
        prepare_body("<p>" + "x" * 2_000_000)


def test_too_much_markup_is_refused_before_it_takes_time() -> None:
    with pytest.raises(BadContent, match="paste it as plain text"):
        prepare_body("<div>" * 30_000)


@pytest.mark.parametrize(
    "piece",
    [
        "x",
        "<",
        "&",
        "<p>",
        "<h2>x</h2>",
        "<a href=/>x</a>",
        "<b><p>",
        "<!--",
        "x ",
        '"',
        ":",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    html = (piece * 200_000)[:199_000]
    start = time.perf_counter()

    with suppress(BadContent):
        prepare_body(html)

    assert time.perf_counter() - start < 10


def test_headings_get_ids_and_make_the_contents() -> None:
    body = prepare_body(
        "<h2>When to <em>act</em> &amp; how</h2><h3>x</h3><h2>When to act: how</h2>"
        '<h2>Rest<sup class="citation"><a href="#ref-1">1</a></sup></h2>'
    )

    assert contents(body) == [
        {"id": "when-to-act-how", "title": "When to act & how"},
        {"id": "when-to-act-how-2", "title": "When to act: how"},
        {"id": "rest", "title": "Rest"},
    ]


def test_a_heading_takes_no_id_the_page_has() -> None:
    body = prepare_body("<h2>References</h2><h2>Ref 1</h2><h2>When to get help</h2>")

    ids = re.findall(r'id="([^"]+)"', body)
    assert ids == ["part-references", "part-ref-1", "part-when-to-get-help"]


def test_citations_are_numbered_by_where_they_stand() -> None:
    citation = '<sup class="citation"><a href="#ref-2" id="cite-2-7">2</a></sup>'

    body = prepare_body(citation * 2)

    assert re.findall(r'id="([^"]+)"', body) == ["cite-2-1", "cite-2-2"]


def test_a_photograph_is_spelled_out_into_all_its_files() -> None:
    body = prepare_body(
        f'<img src="{PHOTOGRAPH}" alt="A &quot;cat&quot;" width="9" class="x">',
        of_a_photograph,
    )

    sizes = 'sizes="(min-width: 42em) 40rem, 100vw"'
    b, c, d, e = (f"/pictures/{letter * 64}" for letter in "bcde")
    assert body == (
        f'<picture><source type="image/avif" srcset="{c}.avif 480w, {b}.avif 960w" '
        f'{sizes}><source type="image/webp" srcset="{d}.webp 480w" {sizes}>'
        f'<source type="image/jpeg" srcset="{e}.jpg 480w, {PHOTOGRAPH} 960w" {sizes}>'
        f'<img src="{PHOTOGRAPH}" alt="A &quot;cat&quot;" width="960" height="640" '
        'loading="lazy" decoding="async"></picture>'
    )
    assert prepare_body(body, of_a_photograph) == body


def test_a_picture_lists_no_files_but_its_own() -> None:
    forged = (
        '<picture><source srcset="/pictures/evil.avif 1w"><source srcset="x">'
        f'<img src="{PHOTOGRAPH}" alt=""></picture>'
    )

    body = prepare_body(forged, of_a_photograph)

    assert "evil" not in body
    assert body.count("<source") == 3


@pytest.mark.parametrize("renditions", [of_a_drawing, None])
def test_a_drawing_stays_as_it_was_placed(renditions: Any) -> None:
    html = f'<figure><img src="{PICTURE}" alt="x" width="360" height="330"></figure>'
    more = html.replace(">", ' loading="eager">', 2)

    known = [renditions] if renditions else []
    assert prepare_body(html, *known) == html
    assert prepare_body(more, *known) == html


def test_a_decorative_picture_says_so_with_an_empty_alt() -> None:
    assert 'alt=""' in prepare_body(f'<img src="{PICTURE}" alt="">', of_a_drawing)


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        (f'<img src="{PICTURE}">', "alt text"),
        (f'<img src="{PICTURE}" alt=" &nbsp;">', "alt text"),
        ('<img src="https://example.com/x.png" alt="x">', "own pictures"),
        ('<img src="data:image/png;base64,xx" alt="x">', "own pictures"),
        ('<img src="/pictures/../x.svg" alt="x">', "own pictures"),
        ('<img alt="x">', "own pictures"),
    ],
)
def test_a_picture_needs_a_home_and_words(html: str, complaint: str) -> None:
    with pytest.raises(BadContent, match=complaint):
        prepare_body(html)


def test_a_picture_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadContent, match=f"There is no picture {PICTURE}"):
        prepare_body(f'<img src="{PICTURE}" alt="x">', of_nothing)


PIECES = st.sampled_from(
    [
        *(
            "<p>",
            "</p>",
            "<b>",
            "</b>",
            "<i>",
            "<em>",
            "</em>",
            "<h1>",
            "<h2>",
            "</h2>",
        ),
        *("<table>", "<tr>", "<td>", "</td>", "</table>", "<ul>", "<li>", "</ul>"),
        *(
            "<div>",
            "</div>",
            "<span class=x>",
            "</span>",
            "<blockquote>",
            "<br>",
            "<dd>",
        ),
        *('<a href="/x">', "</a>", '<a href="#ref-1">', "<a name=x>", "<o:p>", "<pre>"),
        *('<sup class="citation">', "</sup>", "<figure>", "<figcaption>", "<caption>"),
        *(f'<img src="{PHOTOGRAPH}" alt="x">', "<picture>", "</picture>", "<col>"),
        *(
            "<!--",
            "-->",
            "<![if x]>",
            "<![CDATA[",
            "]]>",
            "<",
            ">",
            '"',
            "'",
            "&",
            "&lt",
        ),
        *(
            "&#8203;",
            "&nbsp;",
            "\u0338",
            "\u200b",
            "\u0301",
            "\r",
            "\x00",
            "x",
            " y ",
            "=",
        ),
        *("<nobr>", "<center>", "<tbody>", "<th scope=row>", "<ol start=2>", "<sub>"),
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES | st.text(max_size=3), max_size=14).map("".join))
@example("<p><abbr><p>x")
def test_preparing_twice_changes_nothing(html: str) -> None:
    try:
        once = prepare_body(html, of_a_photograph)
    except BadContent:
        return

    assert prepare_body(once, of_a_photograph) == once
    assert sanitised(once) == once
    assert normalize("NFC", once) == once


@given(st.text(alphabet="<>/=\"h23pax &;#'-!", max_size=80))
def test_any_text_is_prepared_or_refused(html: str) -> None:
    try:
        once = prepare_body(html)
    except BadContent as refused:
        complaints = refused.problems
        once = ""
    else:
        complaints = []

    assert bool(complaints) or prepare_body(once) == once


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_words_are_kept_as_they_are(words: str) -> None:
    body = prepare_body(f"<p>-{escape(words)}-</p>")

    assert nh3.clean_text(tidy(f"-{words}-")) == nh3.clean_text(_text_of(body))


def _text_of(html: str) -> str:
    reader = Outline()
    reader.feed(html)
    reader.close()
    return reader.text
