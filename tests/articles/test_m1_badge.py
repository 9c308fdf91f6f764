"""M1: the badge follows from the text that a clinician signed, and from nothing else.

Random edits of everything a reader can see try to change a signed page, or to wear its
badge. Whatever they do, they do in one transaction that never commits.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.http import Http404
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker, Settings

from articles import views
from articles.cleaning import BadContent
from articles.editing import revise
from articles.models import Revision
from articles.publishing import publish, publish_unsigned, withdraw
from review import Clinician, SignOff
from review.signing import retract
from tests.articles.edits import Edit, bodies, fields, wholes
from tests.articles.signed_page import (
    SLUG,
    TEXT,
    YEAR,
    Site,
    approved,
    asking,
    clinician,
    feed,
    html,
    makes_no_claim,
    markdown,
    open_site,
    public,
    record,
    structured,
    words,
)
from tests.conftest import Servers, clone, drop
from tests.tampering import rewritable, tamper, undone

EDITS = 1_000
# Saved one after the other before anybody looks whether readers got something new.
TOGETHER = 8


@pytest.fixture(scope="module")
def own_database(
    cluster: Servers, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """For transactions of a superuser; nothing in it is ever committed."""
    with django_db_blocker.unblock():
        name = clone(cluster)
        yield name
    drop(cluster, name)


@pytest.fixture
def superuser(
    cluster: Servers, own_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    with django_db_blocker.unblock(), rewritable(cluster, own_database):
        yield


# --- A thousand edits -------------------------------------------------------------

REASON = "An urgent warning."
Faces = list[str]


def in_preview(site: Site, edited: Revision) -> Faces:
    desk = admin.site._registry[Revision]
    shown = desk.preview(asking(site.edith), edited.pk)  # type: ignore[attr-defined]
    return [shown.content.decode()]


def published_unsigned(site: Site, edited: Revision) -> Faces:
    publish_unsigned(edited, by=site.edith, reason=REASON)
    pages = [html(), markdown()]
    assert all(REASON in page for page in pages)
    return pages


def put_in_the_live_row(site: Site, edited: Revision) -> Faces:
    content = json.dumps(edited.content)
    tamper(
        "UPDATE articles_revision SET content = %s WHERE id = %s", content, site.live.pk
    )
    return [html()]


def put_in_the_live_row_with_its_digest(site: Site, edited: Revision) -> Faces:
    tamper(
        "UPDATE articles_revision SET (content, digest) = (%s, %s) WHERE id = %s",
        json.dumps(edited.content),
        edited.digest,
        site.live.pk,
    )
    return [markdown()]


def put_live(edited: Revision) -> None:
    tamper("UPDATE articles_article SET live_revision_id = %s", edited.pk)


def named_with_the_signed_digest(site: Site, edited: Revision) -> Faces:
    put_live(edited)
    tamper(
        "UPDATE articles_revision SET digest = %s WHERE id = %s",
        site.live.digest,
        edited.pk,
    )
    return [feed()]


def given_the_others_sign_off(site: Site, edited: Revision) -> Faces:
    put_live(edited)
    tamper(
        "UPDATE review_signoff SET (digest, content) = (%s, %s) WHERE id = %s",
        edited.digest,
        json.dumps(edited.content),
        site.sign_off.pk,
    )
    return [html(), record()]


def replaced_by_the_signed_text_again(site: Site, edited: Revision) -> Faces:
    """Makes a page without a badge too, on the way."""
    publish_unsigned(edited, by=site.edith, reason=REASON)
    between = html()
    again, _ = revise(site.article, site.live.content, by=None)
    assert again.digest == site.live.digest
    publish(again, at=site.opened_at)
    assert html() == site.before.html
    return [between]


WAYS = (
    *(in_preview, published_unsigned, put_in_the_live_row),
    *(put_in_the_live_row_with_its_digest, named_with_the_signed_digest),
    *(given_the_others_sign_off, replaced_by_the_signed_text_again),
)


def save_edit(site: Site, change: Edit) -> tuple[str, Revision]:
    """What became of an edit of the signed text ("refused", "same" or "edits")."""
    content = deepcopy(site.live.content)
    change(content)
    try:
        edited, made = revise(site.article, content, by=site.edith)
    except BadContent:
        return "refused", site.live
    return "edits" if made and edited.digest != site.live.digest else "same", edited


def test_m1_a_thousand_edits_move_no_badge(superuser: None) -> None:
    site = open_site()
    tried: Counter[str] = Counter()

    @trying(
        # Far more than it takes: some edits change nothing or are refused, and chance
        # may leave a field for late.
        max_examples=8 * EDITS // TOGETHER,
        deadline=None,
        print_blob=True,
        database=None,
        # Explaining traces every line, which takes as long as all the rest.
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(
            st.tuples(fields() | wholes() | bodies(), st.sampled_from(WAYS)),
            min_size=TOGETHER,
            max_size=TOGETHER,
        )
    )
    def try_some(edits: list[tuple[tuple[str, Edit], Any]]) -> None:
        if tried["edits"] >= EDITS and places(tried) >= EVERY_FIELD:
            return
        with undone():
            saved = []
            for (name, change), way in edits:
                became, edited = save_edit(site, change)
                tried.update([became, f"{became}: {name}"])
                if became == "edits":
                    saved.append((edited, way))
            assert public() == site.before
            for edited, way in saved:
                with undone():
                    for page in way(site, edited):
                        assert makes_no_claim(page)

    try_some()

    assert tried["edits"] >= EDITS, tried
    assert places(tried) >= EVERY_FIELD
    assert public() == site.before


EVERY_FIELD = {
    *("title", "summary", "key points", "body", "reference"),
    *("card 0", "card 1", "card 2", "care_cards", "references"),
}


def places(tried: Counter[str]) -> set[str]:
    """Where the edits were that made a new text."""
    return {one.split(": ")[1] for one in tried if one.startswith("edits: ")}


# --- A sign-off that was altered ----------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("signer_name", "Mallory Example"),
        ("signer_credentials", "Professor"),
        ("valid_until", timezone.now() + 2 * YEAR),
        ("signed_at", timezone.now() - timedelta(days=3)),
        ("conflicts_of_interest", "paid by a maker of magnesium"),
        ("subject", "article:999999"),
        ("digest", "0" * 64),
        ("verdict", "changes requested"),
        ("author_ids", [999_999]),
        ("signer_user_id", 2**60),
        ("demonstration", True),
    ],
)
def test_m1_an_altered_sign_off_carries_no_badge(
    superuser: None, column: str, value: object
) -> None:
    site = open_site()

    tamper(
        f"UPDATE review_signoff SET {column} = %s WHERE id = %s",  # noqa: S608
        value,
        site.sign_off.pk,
    )

    for page in (html(), markdown(), feed(), record()):
        assert makes_no_claim(page)
        assert "Mallory" not in page


def test_m1_a_retraction_turned_into_an_approval_carries_no_badge(
    superuser: None,
) -> None:
    site = open_site()
    retract(site.sign_off, by=clinician(), comment="The dose is wrong.")

    tamper("UPDATE review_signoff SET verdict = 'approved'")

    assert makes_no_claim(html())


@pytest.mark.parametrize(
    "content",
    ["null", "[]", '"text"', "1.5", "{}", '{"format": 1}', '{"redacted": true}'],
)
def test_m1_the_record_hands_out_no_bytes_but_those_that_were_signed(
    superuser: None, content: str
) -> None:
    site = open_site()
    place = [SLUG, site.sign_off.digest]
    assert views.signed_text(asking(), *place).status_code == 200

    tamper("UPDATE review_signoff SET content = %s", content)

    with pytest.raises(Http404):
        views.signed_text(asking(), *place)
    assert f"{site.sign_off.digest}.json" not in record()


def test_m1_a_number_no_digest_can_be_made_of_is_no_signed_text(
    superuser: None,
) -> None:
    site = open_site()

    tamper(
        "UPDATE articles_revision SET content = content || %s WHERE id = %s",
        '{"dose": 1.5}',
        site.live.pk,
    )

    assert makes_no_claim(html())


def test_the_record_of_a_withdrawn_article_keeps_the_title_that_readers_knew(
    db: None,
) -> None:
    site = open_site()
    withdraw(site.article, reason="The advice changed.")

    revise(site.article, {**TEXT, "title": "Nobody approved this"}, by=None)

    assert "Review record: Muscle twitching" in record()
    assert "Nobody approved this" not in record()


# --- Saying the same ----------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"title": "  Muscle \n twitching\u200b "},
        {"key_points": ["", *TEXT["key_points"], "  "]},
        {"body": TEXT["body"].replace("<p>", '<p class="MsoNormal"><span></span>')},
        {"body": TEXT["body"].replace("</p>", "</p><p> </p>")},
    ],
)
def test_m1_a_save_that_changes_nothing_makes_nothing(
    db: None, same: dict[str, Any]
) -> None:
    site = open_site()

    revision, made = revise(site.article, {**TEXT, **same}, by=site.edith)

    assert (revision.pk, made) == (site.live.pk, False)
    assert public() == site.before


# --- The review line in each of its states -------------------------------------------

SIGNED = datetime(2027, 3, 1, 9, tzinfo=UTC)
BADGE = "Medically reviewed by Carla Example, MB ChB on 1 March 2027."
DATES = "Page last reviewed: 1 March 2027 Next review due: 29 February 2028"
UNTIL = f"{BADGE} Next review due 29 February 2028."
LATE = (
    "Review overdue since 29 February 2028. "
    "Last reviewed by Carla Example, MB ChB on 1 March 2027."
)
NONE = "This text is not medically reviewed."
NO_DATE = "This text is not medically reviewed, so there is no review date."
DEMO = "Demonstration only: not medically reviewed"
APPROVED = (
    "Approved {demo}Carla Example, MB ChB Signed on 1 March 2027 Valid until 29 "
    "February 2028 Comment Read in full. Conflicts of interest none Digest of the text "
    "{digest}{now} The text The very bytes that were signed"
)
LATER = (
    " Carla Example, MB ChB Signed on 1 March 2027 Comment Read in full. Conflicts of "
    "interest none Digest of the text {digest}{now} The text The very bytes that were "
    "signed "
)
NOW = "This is the text on the page now."


@dataclass(frozen=True)
class Golden:
    """What the page, its foot, its Markdown and its record say in one state."""

    line: str
    foot: str
    text: str
    record: str = APPROVED
    now: str = NOW
    is_claim: bool = False
    days: int = 0
    verdict: str = "approved"
    demo: str = ""
    unsigned: bool = False


GOLDEN = {
    "current": Golden(BADGE, DATES, UNTIL, is_claim=True),
    "due soon": Golden(BADGE, DATES, UNTIL, is_claim=True, days=364),
    "overdue": Golden(
        LATE,
        "Page last reviewed: 1 March 2027 Review overdue since: 29 February 2028",
        LATE,
        days=365,
    ),
    "lapsed": Golden(f"{NONE} Its last review has run out.", NO_DATE, NONE, days=455),
    "retracted": Golden(
        f"{NONE} A clinician has taken their approval back.",
        NO_DATE,
        NONE,
        record=f"Retracted{LATER}{APPROVED}",
        verdict="retracted",
    ),
    "changes requested": Golden(
        f"{NONE} A clinician has asked for changes.",
        NO_DATE,
        NONE,
        record=f"Changes requested{LATER}{APPROVED}",
        verdict="changes requested",
    ),
    "unsigned": Golden(
        f"{NONE} No clinician has signed it yet.",
        NO_DATE,
        f"{NONE}\nIt was published without a clinician’s approval: {REASON}",
        now="",
        unsigned=True,
    ),
    "demonstration": Golden(
        f"{DEMO}.", f"{DEMO}, so there is no review date.", f"{DEMO}.", demo=f"{DEMO} "
    ),
}


@pytest.fixture
def reader(db: None, settings: Settings, tmp_path: Path) -> Client:
    """Through every middleware, as a browser comes."""
    settings.STATIC_ROOT = tmp_path
    return Client(headers={"X-Forwarded-Proto": "https"})


def put_into(state: Golden) -> SignOff:
    """The article, approved on SIGNED, and what else happened to it that day."""
    with time_machine.travel(SIGNED, tick=False):
        clinician(demonstration=bool(state.demo))
        site = open_site()
        if state.verdict != "approved":
            verdict = SignOff.Verdict(state.verdict)
            approved(site.live, site.article.subject, verdict=verdict)
        if state.unsigned:
            edited, _ = revise(site.article, {**TEXT, "title": "Twitches"}, by=None)
            publish_unsigned(edited, by=site.edith, reason=REASON)
    return site.sign_off


@pytest.mark.parametrize("name", GOLDEN)
def test_m1_every_face_says_the_same_in_every_state(
    reader: Client, settings: Settings, name: str
) -> None:
    state = GOLDEN[name]
    settings.DEMO = bool(state.demo)
    sign_off = put_into(state)

    with time_machine.travel(SIGNED + timedelta(days=state.days), tick=False):
        page, text, feed, record = (
            reader.get(address).content.decode()
            for address in (
                f"/articles/{SLUG}/",
                f"/articles/{SLUG}.md",
                "/feeds/conditions.atom",
                f"/articles/{SLUG}/review/",
            )
        )

    facts = structured(page)
    why = f"Published without a clinician’s approval. The editors say why: {REASON}"
    assert told(page, "review") == [
        f"{state.line} See the review record",
        *([why] if state.unsigned else []),
    ]
    assert told(page, "review-dates") == [state.foot]
    assert f"& short.\n\n{state.text}\n" in text
    assert f"& short. {state.text.splitlines()[0]}<" in unescape(feed)
    assert words(record).split(" Verdicts ")[1].split(" Check it")[0] == (
        state.record.format(digest=sign_off.digest, now=state.now, demo=state.demo)
    )
    assert says_the_same(facts, page) is state.is_claim
    assert ("Medically reviewed by" in page + text + feed) is state.is_claim


def says_the_same(facts: dict[str, Any], page: str) -> bool:
    """Whether JSON-LD claims a review; if so, the page has to say just that."""
    if {"lastReviewed", "reviewedBy"}.isdisjoint(facts):
        return False
    (line,) = told(page, "review")
    who = facts["reviewedBy"]
    when = datetime.fromisoformat(facts["lastReviewed"])
    assert line.startswith(
        f"Medically reviewed by {who['name']}, {who['description']} "
        f"on {when:%-d %B %Y}."
    )
    assert f'<time datetime="{facts["lastReviewed"]}">' in page
    return True


def told(page: str, name: str) -> list[str]:
    """The words of each of the page's elements of this class."""
    found = re.findall(rf'<div class="{name}(?: [^"]*)?">.*?</div>', page, re.S)
    return [words(one) for one in found]


def test_m1_a_signer_and_a_day_of_any_kind_stand_alike_on_page_and_in_json_ld(
    superuser: None,
) -> None:
    """Names with quotes and angle brackets, days around midnight, any validity."""
    site = open_site()

    @trying(max_examples=60, deadline=None, print_blob=True, database=None)
    @given(
        name=st.text(NAMES, min_size=1, max_size=40).filter(str.strip),
        credentials=st.text(NAMES, min_size=1, max_size=40).filter(str.strip),
        at=st.datetimes(datetime(2027, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001
        days=st.integers(1, 1096),
        later=st.integers(0, 1300),
    )
    def try_one(
        name: str, credentials: str, at: datetime, days: int, later: int
    ) -> None:
        signed_at = at.replace(tzinfo=UTC)
        with undone():
            Clinician.objects.update(
                name=" ".join(name.split()),
                credentials=" ".join(credentials.split()),
                credential_expires_at=signed_at + YEAR,
            )
            approved(
                site.live,
                site.article.subject,
                at=signed_at,
                valid_for=timedelta(days=days),
            )
            with time_machine.travel(signed_at + timedelta(days=later), tick=False):
                page = html()
            assert says_the_same(structured(page), page) is (later < days)

    try_one()


NAMES = st.characters(
    codec="utf-8", categories=["L", "N", "P", "S", "Zs"], exclude_characters="\u3000"
)
