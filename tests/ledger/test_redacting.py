"""A text taken away for a lawful reason: its words go, its digest and verdicts stay."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from articles import catalogue, editing, publishing, scheduling, submitting
from articles.editing import revise
from articles.models import Draft, Picture, Revision, ScheduledPublication
from articles.refusals import Refused
from ledger import Redaction, attest, is_redacted, redacting
from ledger.redacting import NothingToRedact, redact
from ledger.sealing import seal
from ledger.verifying import verify
from review import NotAllowedToSign, ReviewRequest, SignOff, request, sign, standing
from review.models import TextInUse
from review.reminding import remind
from review.signing import NothingToRetract, answer, retract
from tests.articles.signed_page import (
    A_PICTURE,
    SLUG,
    TEXT,
    YEAR,
    Site,
    approved,
    clinician,
    open_site,
)
from tests.conftest import Servers

REASON = "A court asked for it."
SECRET = "Muscle twitching"


@pytest.fixture
def site(cloned_database: str) -> Site:
    return open_site()


@pytest.fixture
def reader(settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    return Client(headers={"X-Forwarded-Proto": "https"})


def take_away(site: Site) -> dict[str, int]:
    return redact(site.live.digest, reason=REASON, using="owner")


def page(reader: Client, address: str) -> str:
    return reader.get(address).content.decode()


def test_the_words_go_and_the_digest_and_the_verdict_stay(site: Site) -> None:
    ask(site)

    assert take_away(site) == {
        "articles_revision": 1,
        "review_reviewrequest": 1,
        "review_signoff": 1,
        "review_textinuse": 1,
    }

    site.live.refresh_from_db()
    assert site.live.content == {"redacted": True}
    sign_off = SignOff.objects.get()
    assert sign_off.content == {"redacted": True}
    assert sign_off.digest == site.live.digest
    assert (sign_off.verdict, sign_off.signer_name) == ("approved", "Carla Example")
    for row in (ReviewRequest.objects.get(), TextInUse.objects.get()):
        assert is_redacted(row)
        assert SECRET not in row.title


def ask(site: Site) -> ReviewRequest:
    return submitting.submit(site.live, by=site.edith)


def test_the_ledger_is_whole_before_and_after_the_seal(site: Site) -> None:
    take_away(site)

    assert verify().is_whole
    seal()
    assert verify().is_whole


def test_readers_are_told_that_it_is_gone_and_why(site: Site, reader: Client) -> None:
    take_away(site)

    for address in (f"/articles/{SLUG}/", f"/articles/{SLUG}.md"):
        answered = reader.get(address)
        assert answered.status_code == 410
        assert REASON in answered.content.decode()
    trust = page(reader, "/trust/")
    assert REASON in trust
    assert site.live.digest in trust
    record = page(reader, f"/articles/{SLUG}/review/")
    assert "Removed for a lawful reason" in record
    assert site.live.digest in record
    assert "Carla Example" in record
    text = reader.get(f"/articles/{SLUG}/review/{site.live.digest}.json")
    assert text.status_code == 404


def test_no_public_page_holds_its_words_any_more(site: Site, reader: Client) -> None:
    addresses = ("/conditions/", "/feeds/conditions.atom", "/", "/trust/")
    assert [SECRET in page(reader, one) for one in addresses[:2]] == [True, True]

    take_away(site)

    record = f"/articles/{SLUG}/review/"
    for address in (*addresses, record, f"/articles/{SLUG}/"):
        assert SECRET not in page(reader, address)
    assert catalogue.published_cards() == []
    assert catalogue.cards([SLUG]) == []
    assert SLUG not in catalogue.live_standings([SLUG])
    site.article.refresh_from_db()
    assert not site.article.is_published()


def test_nobody_is_led_to_a_page_that_is_gone(site: Site, reader: Client) -> None:
    other, _ = revise(make_second(site), {**TEXT, "title": "Second"}, by=site.edith)
    approved(other, other.article.subject)
    publishing.publish(other)
    site.article.refresh_from_db()
    publishing.withdraw(other.article, reason="Merged.", replaced_by=site.article)
    assert reader.get("/articles/second/").status_code == 302

    take_away(site)

    assert reader.get("/articles/second/").status_code == 410


def make_second(site: Site) -> Any:
    kind, section = site.article.kind, site.article.section
    return type(site.article).objects.create(slug="second", kind=kind, section=section)


def test_it_does_not_come_back_by_any_door(site: Site) -> None:
    before = Revision.objects.get()
    sign_off, waiting = SignOff.objects.get(), ask(site)
    take_away(site)
    stale, site_live = before, Revision.objects.get()
    site.edith.refresh_from_db()

    for revision in (stale, site_live):
        with pytest.raises(Refused, match="lawful reason"):
            publishing.publish(revision, by=site.edith)
        with pytest.raises(Refused):
            publishing.publish_unsigned(revision, by=site.edith, reason="No.")
        with pytest.raises(Refused, match="lawful reason"):
            submitting.submit(revision, by=site.edith)
    with pytest.raises(Refused, match="lawful reason"):
        editing.bring_back(site_live, by=site.edith)
    with pytest.raises(Refused, match="lawful reason"):
        revise(site.article, TEXT, by=site.edith)
    with pytest.raises(NotAllowedToSign, match="lawful reason"):
        answer_it(waiting)
    with pytest.raises(NotAllowedToSign, match="lawful reason"):
        approved(stale, site.article.subject)
    with pytest.raises(NothingToRetract, match="lawful reason"):
        retract(SignOff.objects.get(), by=clinician(), comment="Wrong.")
    with pytest.raises(NotAllowedToSign, match="lawful reason"):
        retract(sign_off, by=clinician(), comment="Wrong.")

    assert SignOff.objects.count() == Revision.objects.count() == 1
    assert verify().is_whole


def answer_it(waiting: ReviewRequest) -> SignOff:
    return answer(
        waiting,
        by=clinician(),
        verdict=SignOff.Verdict.APPROVED,
        conflicts_of_interest="none",
        valid_for=YEAR,
    )


def test_a_new_text_can_be_written_signed_and_published_in_its_place(
    site: Site, reader: Client
) -> None:
    take_away(site)

    draft = editing.start_draft(site.article, by=site.edith)
    assert draft.content == editing.EMPTY
    written = editing.Written({**TEXT, "title": "Twitches, anew"})
    editing.keep(draft, written, by=site.edith)
    fresh, _ = editing.save(Draft.objects.get(), by=site.edith)
    approved(fresh, site.article.subject)
    publishing.publish(fresh, by=site.edith)

    shown = page(reader, f"/articles/{SLUG}/")
    assert "Twitches, anew" in shown
    assert "Medically reviewed by" in shown


def test_a_draft_of_it_is_kept_and_refused_in_a_sentence(site: Site) -> None:
    draft = editing.start_draft(site.article, by=site.edith)
    take_away(site)

    with pytest.raises(Refused, match="lawful reason"):
        editing.save(draft, by=site.edith)

    assert Draft.objects.filter(pk=draft.pk).exists()


def test_what_was_scheduled_is_refused_and_reported(site: Site) -> None:
    later, _ = revise(site.article, {**TEXT, "title": "Later"}, by=site.edith)
    plan = scheduling.schedule(later, by=site.edith, planned_for=None)
    redact(later.digest, reason=REASON, using="owner")

    assert scheduling.publish_due() == 0

    plan.refresh_from_db()
    assert plan.state == ScheduledPublication.State.REFUSED
    assert "lawful reason" in plan.reason


def test_reminders_pass_it_over_and_reach_the_next(site: Site) -> None:
    other, _ = revise(make_second(site), {**TEXT, "title": "Second"}, by=site.edith)
    approved(other, other.article.subject)
    publishing.publish(other)
    User.objects.filter(pk=site.edith.pk).update(email="edith@example.com")
    User.objects.filter(username="carla").update(email="carla@example.com")
    take_away(site)

    remind(timezone.now() + YEAR)

    assert [one.title for one in ReviewRequest.objects.all()] == ["Second"]


def test_a_picture_goes_with_its_renditions(site: Site, reader: Client) -> None:
    picture = Picture.objects.get(digest=A_PICTURE)
    files = [picture, *renditions(picture)]

    redact(A_PICTURE, reason=REASON, using="owner")

    for file in files:
        file.refresh_from_db()
        assert bytes(file.content) == b""
        assert reader.get(file.get_absolute_url()).status_code == 410
    assert Redaction.objects.count() == 3
    assert verify().is_whole


def renditions(picture: Picture) -> list[Picture]:
    return [
        attest(
            Picture(
                digest=sha256(content).hexdigest(),
                content=content,
                media_type=Picture.Type.AVIF,
                width=1,
                height=1,
                rendition_of=picture,
            )
        )
        for content in (b"small", b"large")
    ]


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_it_needs_a_reason(site: Site, reason: str) -> None:
    with pytest.raises(ValueError, match="Say why"):
        redact(site.live.digest, reason=reason, using="owner")

    with pytest.raises(CommandError, match="Say why"):
        call_command("redact", site.live.digest, reason=reason)
    assert untouched(site)


def untouched(site: Site) -> bool:
    found = Revision.objects.get(pk=site.live.pk)
    return found.content == site.live.content and not Redaction.objects.exists()


@pytest.mark.parametrize("digest", ["0" * 64, "", "muscle-twitching"])
def test_an_unknown_digest_is_refused(site: Site, digest: str) -> None:
    with pytest.raises(NothingToRedact, match="No text has"):
        redact(digest, reason=REASON, using="owner")

    with pytest.raises(CommandError, match="No text has"):
        call_command("redact", digest, reason=REASON)
    assert untouched(site)


def test_twice_is_refused(site: Site) -> None:
    call_command("redact", site.live.digest, reason=REASON)

    with pytest.raises(CommandError, match="was redacted before"):
        call_command("redact", site.live.digest, reason="Again.")

    assert Redaction.objects.get().reason == REASON


def test_p2_the_applications_role_can_not_redact(site: Site) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        redact(site.live.digest, reason=REASON, using="default")

    assert untouched(site)


def test_it_gives_way_to_somebody_who_writes_and_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redacting, "TRIES", 2)
    with transaction.atomic():
        revise(site.article, {**TEXT, "title": "Unfinished"}, by=site.edith)

        with pytest.raises(CommandError, match="run it again"):
            call_command("redact", site.live.digest, reason=REASON)

    assert untouched(site)
    call_command("redact", site.live.digest, reason=REASON)


def test_the_command_tells_what_it_blanked_and_what_is_left(
    site: Site, cluster: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("redact", site.live.digest, reason=REASON)

    told = capsys.readouterr().out
    assert "blanked 1 in articles_revision" in told
    assert "blanked 1 in review_signoff" in told
    assert "drafts" in told


def test_the_standing_of_its_digest_is_not_lost(site: Site) -> None:
    take_away(site)

    found = standing(site.article.subject, site.live.digest)
    assert found.sign_off
    assert found.sign_off.signer_name == "Carla Example"


def test_the_same_words_under_another_subject_are_refused_too(site: Site) -> None:
    take_away(site)

    with pytest.raises(NotAllowedToSign):
        request(
            site.live.content,
            subject="article:999",
            title=SECRET,
            url="/",
            authors=[],
        )
    with pytest.raises(NotAllowedToSign):
        sign(
            site.live.content,
            subject="article:999",
            by=clinician(),
            authors=[],
            verdict=SignOff.Verdict.APPROVED,
            conflicts_of_interest="none",
            valid_for=YEAR,
        )
    assert not ReviewRequest.objects.exists()
