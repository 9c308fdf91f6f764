"""Two clinicians, two windows, a process that dies: one text gets one verdict."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from articles.editing import revise
from articles.submitting import submit
from ledger import Entry
from ledger.redacting import redact
from ledger.verifying import verify
from mail import Recipient
from newsletter import composing
from newsletter.choosing import next_tip
from newsletter.models import HealthTip, Issue, Schedule, Subscriber
from newsletter.scheduling import start_issue
from review import (
    Clinician,
    NotAllowedToSign,
    ReviewRequest,
    SignOff,
    admin_url,
    standing,
)
from review.reminding import remind
from review.requesting import assign, call_back, decline
from review.signing import AlreadyAnswered, answer, retract
from tests.articles.signed_page import (
    SLUG,
    TEXT,
    YEAR,
    Site,
    approved,
    clinician,
    open_site,
)
from tests.racing import TIMES, at_once, leaves_nothing_behind

APPROVED, CHANGES = SignOff.Verdict.APPROVED, SignOff.Verdict.CHANGES_REQUESTED


@pytest.fixture
def site(cloned_database: str) -> Site:
    return open_site()


def dora() -> Clinician:
    user = User.objects.create(username="dora", email="dora@example.com")
    return Clinician.objects.create(
        user=user,
        name="Dora Example",
        credentials="MD",
        registration="GMC 1",
        credential_expires_at=timezone.now() + 9 * YEAR,
    )


def ask(site: Site, title: str = "New") -> ReviewRequest:
    revision, _ = revise(site.article, {**TEXT, "title": title}, by=site.edith)
    return submit(revision, by=site.edith)


def give(
    waiting: ReviewRequest, by: Clinician, verdict: SignOff.Verdict = APPROVED
) -> SignOff:
    return answer(
        waiting,
        by=by,
        verdict=verdict,
        conflicts_of_interest="none",
        valid_for=YEAR,
        comment="Read in full.",
    )


def split(ends: list[Any]) -> tuple[list[Any], list[Any]]:
    """(what succeeded, what was refused)"""
    good = [end for end in ends if not isinstance(end, Exception)]
    return good, [end for end in ends if isinstance(end, Exception)]


def test_two_clinicians_at_once_give_one_verdict_and_get_one_kind_word(
    site: Site,
) -> None:
    carla, other = clinician(), dora()
    for number in range(TIMES):
        waiting = ask(site, f"Text {number}")

        ends = at_once(
            partial(give, waiting, carla), partial(give, waiting, other, CHANGES)
        )

        (given,), (refused,) = split(ends)
        assert isinstance(refused, AlreadyAnswered), refused
        assert str(refused) == (
            f"{given.signer_name} answered this already: {given.verdict}."
        )
        waiting.refresh_from_db()
        assert waiting.sign_off == given
        assert SignOff.objects.filter(digest=waiting.digest).get() == given


def test_an_answer_and_a_call_back_at_once_are_one_of_them(site: Site) -> None:
    carla = clinician()
    for number in range(TIMES):
        waiting = ask(site, f"Text {number}")

        answered, called_back = at_once(
            partial(give, waiting, carla), partial(call_back, waiting)
        )

        waiting.refresh_from_db()
        was_answered = waiting.state == ReviewRequest.State.ANSWERED
        assert isinstance(answered, SignOff) is was_answered
        assert isinstance(called_back, AlreadyAnswered) is was_answered
        assert SignOff.objects.filter(digest=waiting.digest).exists() is was_answered


def test_declining_and_assigning_at_once_end_in_one_of_both_orders(site: Site) -> None:
    carla, other = clinician(), dora()
    for number in range(TIMES):
        waiting = ask(site, f"Text {number}")
        assign(waiting, carla)

        declined, assigned = at_once(
            partial(decline, waiting, by=carla, reason="Away."),
            partial(assign, waiting, other),
        )

        waiting.refresh_from_db()
        assert assigned is None, assigned
        if declined is None:
            assert "Away." in waiting.declined
        assert waiting.assignee in (None, other)


def test_the_same_text_submitted_twice_at_once_waits_once(site: Site) -> None:
    revision = site.article.revisions.get()
    for _ in range(TIMES):
        ends = at_once(*[partial(submit, revision, by=site.edith)] * 3)

        assert len({one.pk for one in ends}) == 1
        call_back(ends[0])


def test_an_approval_taken_back_twice_at_once_is_taken_back_once(site: Site) -> None:
    carla = clinician()
    for number in range(TIMES):
        given = give(ask(site, f"Text {number}"), carla)

        ends = at_once(*[partial(retract, given, by=carla, comment="Wrong.")] * 2)

        good, refused = split(ends)
        assert len(good) == len(refused) == 1
        assert "took this one’s place" in str(refused[0]).replace("'", "’")
        assert SignOff.objects.filter(digest=given.digest).count() == 2


def test_a_verdict_given_while_its_text_is_redacted_keeps_no_copy(site: Site) -> None:
    carla = clinician()
    for number in range(TIMES):
        waiting = ask(site, f"Secret {number}")

        redacted, given = at_once(
            partial(redact, waiting.digest, reason="A court.", using="owner"),
            partial(give, waiting, carla),
        )

        assert isinstance(redacted, dict), redacted
        assert isinstance(given, SignOff | NotAllowedToSign), given
        for model in (SignOff, ReviewRequest):
            kept = model._default_manager.filter(digest=waiting.digest)
            assert all(row.content == {"redacted": True} for row in kept)
    assert verify().is_whole


def test_a_tip_is_not_sent_on_an_approval_that_is_being_taken_back(
    site: Site,
) -> None:
    """What was retracted after the scheduler looked at its clock counts."""
    tip = HealthTip.objects.create(slug="rest")
    text = composing.from_html("Rest", "A tip", "<p>Rest.</p>")
    revision, _ = composing.revise(tip, text, cites=[SLUG], by=site.edith)
    given = approved(revision, tip.subject)
    Subscriber.objects.create(
        recipient=Recipient.objects.create(
            address="rosa@example.com", may_receive=True
        ),
        status=Subscriber.Status.CONFIRMED,
        confirmed_at=timezone.now() - YEAR,
    )
    looked_at = timezone.now()
    schedule = Schedule.objects.create(
        name="often", every=YEAR / 365, time_of_day="09:00", starts_at=looked_at - YEAR
    )
    retract(given, by=clinician(), comment="Wrong.")

    assert next_tip(schedule, looked_at) is not None
    assert start_issue(schedule, looked_at) is None
    assert not Issue.objects.exists()


# --- The same POST twice ----------------------------------------------------------


@pytest.fixture
def carla(site: Site, settings: Settings, tmp_path: Path) -> User:
    settings.STATIC_ROOT = tmp_path
    user = clinician().user
    user.is_staff = True
    user.save()
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["sign", "view_reviewrequest"])
    )
    return user


def post(user: User, address: str, data: dict[str, str]) -> Any:
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(user)
    return client.post(address, data)


def test_a_verdict_posted_twice_at_once_is_given_once(site: Site, carla: User) -> None:
    for number in range(TIMES // 2):
        waiting = ask(site, f"Text {number}")
        address = f"{admin_url(waiting).removesuffix('change/')}do/answer/"
        data = {
            "verdict": "approved",
            "comment": "",
            "conflicts_of_interest": "none",
            "months": "12",
            "digest": waiting.digest,
        }

        ends = at_once(*[partial(post, carla, address, data)] * 2)

        assert sorted(end.status_code for end in ends) == [200, 302], ends
        refused = next(end for end in ends if end.status_code == 200)
        told = refused.content.decode()
        assert "Carla Example answered this already: approved." in told
        assert SignOff.objects.filter(digest=waiting.digest).count() == 1


# --- Half-way -----------------------------------------------------------------------


def test_a_verdict_that_dies_half_way_never_was(site: Site) -> None:
    waiting, carla = ask(site), clinician()

    writes = leaves_nothing_behind(partial(give, waiting, carla))

    assert writes >= 4
    assert standing(waiting.subject, waiting.digest).publishable
    assert verify().is_whole


def test_a_retraction_that_dies_half_way_never_was(site: Site) -> None:
    carla = clinician()

    writes = leaves_nothing_behind(
        partial(retract, site.sign_off, by=carla, comment="Wrong.")
    )

    assert writes >= 3
    assert Entry.objects.count() == verify().entries


@pytest.mark.parametrize("verb", ["submit", "assign", "decline", "call back"])
def test_nor_does_a_request_change_by_half(site: Site, verb: str) -> None:
    waiting, other = ask(site), dora()
    if verb == "decline":
        assign(waiting, other)
    verbs: dict[str, Callable[[], object]] = {
        "submit": partial(
            submit, site.live, by=site.edith, assignee=other, note="Please."
        ),
        "assign": partial(assign, waiting, other),
        "decline": partial(decline, waiting, by=other, reason="Away."),
        "call back": partial(call_back, waiting),
    }

    assert leaves_nothing_behind(verbs[verb]) >= 1


def test_a_reminder_that_dies_half_way_is_told_later_and_once(site: Site) -> None:
    User.objects.update(email="someone@example.com")
    due = timezone.now() + YEAR

    leaves_nothing_behind(partial(remind, due))

    assert remind(due) == 0
