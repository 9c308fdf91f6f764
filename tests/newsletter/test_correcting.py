"""A correction: approved like every tip, to exactly those who got the issue, once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from articles.models import Article
from articles.publishing import withdraw
from mail import Batch, Delivery, MayNotGoOn, Recipient, pause, resume
from mail.sending import send_due
from newsletter import composing
from newsletter.correcting import NotCorrectable, correct, plan
from newsletter.models import Correction, Issue, Subscriber, TipRevision
from newsletter.scheduling import start_due_issues
from review import SignOff
from review.signing import retract
from tests.conftest import Mailbox
from tests.newsletter.test_composing import approve_tip, article, rosa, schedule, tip
from tests.people import carla
from tests.people import person as staff
from tests.racing import at_once, leaves_nothing_behind

State = Delivery.State


@pytest.fixture
def nadia(db: None) -> Any:
    return staff("nadia", "newsletter manager")


def started_issue(*names: str) -> Issue:
    """An issue that waits to be sent to these people, subscribers for an hour."""
    article()
    approve_tip(tip())
    for name in names or ("rosa",):
        rosa(name)
    Subscriber.objects.update(confirmed_at=timezone.now() - timedelta(hours=1))
    schedule()
    start_due_issues()
    return Issue.objects.get()


def sent_issue(*names: str) -> Issue:
    """An issue that these people got."""
    issue = started_issue(*names)
    send_due()
    issue.refresh_from_db()
    return issue


def newer(text: str = "Rest more.", *, approved: bool = True) -> TipRevision:
    first = TipRevision.objects.earliest("pk")
    content = composing.content_of("Rest", "A tip", text)
    revision, _ = composing.revise(
        first.tip, content, cites=first.cites, by=staff("nadia")
    )
    if approved:
        approve_tip(revision)
    return revision


def test_who_got_the_issue_gets_the_correction_once(
    nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue("rosa", "ruth")
    rosa("newcomer")
    revision = newer()

    made = correct(issue, shown=revision.pk, by=nadia)
    send_due()

    assert sorted(mailbox.taken[2:]) == ["rosa@example.com", "ruth@example.com"]
    assert made.batch is not None
    assert made.batch.corrects == issue.batch
    assert (made.tip_revision, made.by) == (revision, nadia)


def test_it_carries_the_signed_text_and_says_what_it_replaces(
    nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    revision = newer("Rest *much* more.")

    made = correct(issue, shown=revision.pk, by=nadia)

    assert made.batch is not None
    message = bytes(made.batch.message).decode()
    assert revision.content["text"] in message.replace("\r\n", "\n")
    assert "Correction. This replaces the tip\r\n“Rest”" in message
    assert "<strong>Correction.</strong> This replaces the tip" in message
    assert made.batch.warrant["sign_off_digest"] == revision.digest


def test_the_count_is_known_before_and_is_what_goes_out(
    nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue("rosa", "ruth", "left")
    revision = newer()
    Recipient.objects.filter(address="left@example.com").update(may_receive=False)

    before = plan(issue)
    made = correct(issue, shown=revision.pk, by=nadia)

    assert (before.got, before.reached, before.left) == (3, 2, 1)
    assert made.batch is not None
    assert made.batch.eligible == 2


def refusal(issue: Issue, shown: TipRevision, by: Any) -> str:
    before = Batch.objects.count()
    with pytest.raises(NotCorrectable) as raised:
        correct(issue, shown=shown.pk, by=by)
    assert Batch.objects.count() == before
    return str(raised.value)


def test_no_correction_without_a_sign_off(nadia: Any, mailbox: Mailbox) -> None:
    issue = sent_issue()

    assert "no newer text" in refusal(issue, issue.tip_revision, nadia)
    unsigned = newer(approved=False)
    assert "no newer text" in refusal(issue, unsigned, nadia)
    approve_tip(unsigned)
    retract(SignOff.objects.latest("pk"), by=carla(), comment="Wrong.")
    assert "no newer text" in refusal(issue, unsigned, nadia)


def test_no_correction_while_what_it_cites_is_off_the_site(
    nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    revision = newer()
    withdraw(Article.objects.get(), reason="The advice changed.")

    assert "no newer text" in refusal(issue, revision, nadia)


def test_the_newest_approved_text_is_sent_not_a_newer_draft(
    nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    revision = newer()
    newer("A draft.", approved=False)

    assert correct(issue, shown=revision.pk, by=nadia).tip_revision == revision


def test_only_the_text_that_was_shown_is_sent(nadia: Any, mailbox: Mailbox) -> None:
    issue = sent_issue()
    shown = newer()
    newer("Approved a moment later.")

    assert "Another text is the newest" in refusal(issue, shown, nadia)


def test_the_same_text_goes_out_once_and_another_may_follow(
    nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    first = newer()
    correct(issue, shown=first.pk, by=nadia)

    assert "sent as a correction already" in refusal(issue, first, nadia)
    second = newer("Rest even more.")
    assert correct(issue, shown=second.pk, by=nadia)


@pytest.mark.parametrize("waiting", [State.QUEUED, State.HANDING_OVER])
def test_nothing_is_corrected_while_the_old_text_still_goes_out(
    nadia: Any, mailbox: Mailbox, waiting: State
) -> None:
    issue = sent_issue("rosa", "ruth")
    revision = newer()
    assert issue.batch is not None
    late = Delivery.objects.latest("pk")
    leased_until = timezone.now() if waiting == State.HANDING_OVER else None
    Delivery.objects.filter(pk=late.pk).update(
        state=waiting, finished_at=None, leased_until=leased_until
    )
    Batch.objects.update(state=Batch.State.RUNNING, finished_at=None)

    assert "still waits" in refusal(Issue.objects.get(), revision, nadia)


def test_nobody_left_is_said(nadia: Any, mailbox: Mailbox) -> None:
    issue = sent_issue()
    revision = newer()
    Recipient.objects.update(may_receive=False)

    assert "Nobody who got this issue" in refusal(issue, revision, nadia)
    assert not Correction.objects.exists()


def test_a_double_click_sends_one(cloned_database: str, mailbox: Mailbox) -> None:
    nadia = staff("nadia", "newsletter manager")
    issue = sent_issue("rosa", "ruth")
    revision = newer()

    made = at_once(*[lambda: correct(issue, shown=revision.pk, by=nadia)] * 4)
    send_due()

    assert sum(isinstance(one, Correction) for one in made) == 1
    assert all(isinstance(one, Correction | NotCorrectable) for one in made)
    assert sorted(mailbox.taken[2:]) == ["rosa@example.com", "ruth@example.com"]


def test_a_correction_killed_half_way_was_not_sent(
    cloned_database: str, mailbox: Mailbox
) -> None:
    nadia = staff("nadia", "newsletter manager")
    issue = sent_issue()
    revision = newer()

    assert leaves_nothing_behind(lambda: correct(issue, shown=revision.pk, by=nadia))


def test_the_database_asks_for_the_sign_off(nadia: Any, mailbox: Mailbox) -> None:
    issue = sent_issue()
    correct(issue, shown=newer().pk, by=nadia)

    with pytest.raises(IntegrityError, match="sign_off_as_given"):
        Correction.objects.update(digest="0" * 64)


# --- The pages -------------------------------------------------------------------


@pytest.fixture
def browser(nadia: Any, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(nadia)
    return client


def url(obj: Any, verb: str = "") -> str:
    page = f"do/{verb}" if verb else "change"
    return f"/admin/newsletter/{obj._meta.model_name}/{obj.pk}/{page}/"


def test_the_page_shows_counts_before_and_after(
    browser: Client, mailbox: Mailbox
) -> None:
    issue = sent_issue("rosa", "left")
    revision = newer()
    Recipient.objects.filter(address="left@example.com").update(may_receive=False)

    before = browser.get(url(issue, "correct")).content.decode()
    answer = browser.post(url(issue, "correct"), {"shown": revision.pk}, follow=True)

    assert "1 of 2 people who got this issue will get the correction" in before
    assert "revision 2, approved by Carla Example" in before
    after = answer.content.decode()
    assert "The correction is on its way to 1 people." in after
    assert "corrected by nadia" in after
    second = browser.post(url(issue, "correct"), {"shown": revision.pk})
    assert "sent as a correction already" in second.content.decode()


@pytest.mark.parametrize("shown", ["", "x", "9" * 30, "-1"])
def test_rubbish_in_the_hidden_field_sends_nothing(
    browser: Client, mailbox: Mailbox, shown: str
) -> None:
    issue = sent_issue()
    newer()

    answer = browser.post(url(issue, "correct"), {"shown": shown})

    assert answer.status_code == 200
    assert not Correction.objects.exists()


def test_without_a_newer_text_the_page_says_what_to_do(
    browser: Client, mailbox: Mailbox
) -> None:
    text = browser.get(url(sent_issue(), "correct")).content.decode()

    assert "Revise the tip and submit it for review first" in text
    assert '<form method="post" novalidate' not in text


def test_pause_resume_and_cancel_are_pages_of_the_issue(
    browser: Client, mailbox: Mailbox
) -> None:
    issue = started_issue()

    for verb, told in (
        ("pause", "Nothing more leaves"),
        ("resume", "It goes on."),
        ("cancel", "1 messages were dropped"),
    ):
        assert browser.get(url(issue, verb)).status_code == 200
        form = {"reason": "a typing error"}
        answer = browser.post(url(issue, verb), form, follow=True)
        assert told in answer.content.decode(), verb
    send_due()

    text = browser.get(url(issue)).content.decode()
    assert "cancelled by nadia: a typing error" in text
    assert mailbox.taken == []
    late = browser.post(url(issue, "cancel"), {"reason": "again"})
    assert "It has ended already" in late.content.decode()


def test_the_cancel_page_says_whether_the_tip_returns(
    browser: Client, mailbox: Mailbox
) -> None:
    issue = started_issue("rosa", "ruth")
    before = browser.get(url(issue, "cancel")).content.decode()
    one = Delivery.objects.earliest("pk")
    Delivery.objects.filter(pk=one.pk).update(
        state=State.ACCEPTED, finished_at=timezone.now()
    )

    after = browser.get(url(issue, "cancel")).content.decode()

    assert "its tip returns to the queue" in before
    assert "counts as sent and doesn’t return" in after


def test_the_page_refuses_to_resume_what_was_taken_back(
    browser: Client, mailbox: Mailbox
) -> None:
    issue = started_issue()
    browser.post(url(issue, "pause"), {"reason": "a typing error"})
    retract(SignOff.objects.latest("pk"), by=carla(), comment="Wrong.")

    answer = browser.post(url(issue, "resume"))
    send_due()

    assert "took the approval of its text back" in answer.content.decode()
    assert mailbox.taken == []


def test_so_does_a_correction_that_was_taken_back(nadia: Any, mailbox: Mailbox) -> None:
    made = correct(sent_issue(), shown=newer().pk, by=nadia)
    assert made.batch is not None
    pause(made.batch.pk, reason="a typing error", by=nadia)
    retract(SignOff.objects.latest("pk"), by=carla(), comment="Wrong.")

    with pytest.raises(MayNotGoOn):
        resume(made.batch.pk, by=nadia)


def test_the_page_refuses_to_resend_what_was_taken_back(
    browser: Client, mailbox: Mailbox
) -> None:
    sent_issue()
    Delivery.objects.update(state=State.UNCERTAIN, reason="x")
    retract(SignOff.objects.latest("pk"), by=carla(), comment="Wrong.")
    page = "/admin/mail/delivery/resending/?state__exact=uncertain"

    before = browser.get(page).content.decode()
    answer = browser.post(page, {"number": "1"}).content.decode()

    assert "It may not be sent:</strong> A clinician took the approval" in before
    assert '<p class="errornote"' in answer
    assert Delivery.objects.get().state == State.UNCERTAIN


def test_a_correction_is_paused_and_cancelled_like_an_issue(
    browser: Client, nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    made = correct(issue, shown=newer().pk, by=nadia)

    browser.post(url(made, "cancel"), {"reason": "wrong again"})
    send_due()

    assert len(mailbox.taken) == 1
    made.refresh_from_db()
    assert made.batch is not None
    assert made.batch.state == Batch.State.CANCELLED
