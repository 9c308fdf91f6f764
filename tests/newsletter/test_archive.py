"""What was mailed can be read on the web, with what holds of it now."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from newsletter.archive import sent_tips
from newsletter.correcting import correct
from newsletter.models import Issue
from newsletter.scheduling import start_due_issues
from review import Clinician
from review.signing import retract
from tests.articles.signed_page import words
from tests.conftest import Mailbox
from tests.newsletter.test_composing import NOW, approve_tip, article, tip
from tests.newsletter.test_correcting import nadia, newer, sent_issue

__all__ = ["nadia"]

ADDRESS = "/newsletter/archive/"
TIP = f"{ADDRESS}rest/"


@pytest.fixture
def reader(db: None) -> Client:
    return Client(headers={"host": "health.example", "x-forwarded-proto": "https"})


def read(reader: Client, path: str) -> str:
    return words(reader.get(path).content.decode())


def test_what_waits_in_the_queue_is_nobodys_to_read(reader: Client) -> None:
    article()
    approve_tip(tip())

    assert sent_tips() == []
    assert "No tip has gone out yet" in read(reader, ADDRESS)
    assert reader.get(TIP).status_code == 404


def test_a_tip_that_went_out_reads_as_it_was_sent(
    reader: Client, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    newer("A later text that nobody was sent.")

    page = read(reader, TIP)

    assert f"{issue.slot:%-d %B %Y}" in read(reader, ADDRESS)
    assert "Rest. rest" in page
    assert "later text" not in page
    signer = issue.sign_off.signer_name
    assert f"Medically reviewed by {signer}" in page


def test_a_tip_stands_once_however_often_it_was_sent(
    reader: Client, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    issue.schedule.repeats = True
    issue.schedule.save(update_fields=["repeats"])
    start_due_issues(NOW)

    assert Issue.objects.count() == 2
    assert [one.slug for one in sent_tips(NOW)] == ["rest"]


def test_a_corrected_tip_reads_as_corrected(
    reader: Client, nadia: Any, mailbox: Mailbox
) -> None:
    issue = sent_issue()
    revision = newer("Rest much more.")
    correct(issue, shown=revision.pk, by=nadia)

    page = read(reader, TIP)

    assert "Rest much more." in page
    assert "this is the corrected text" in page
    assert "corrected" in read(reader, ADDRESS)


def test_a_text_whose_approval_was_taken_back_is_not_shown(
    reader: Client, mailbox: Mailbox
) -> None:
    sign_off = sent_issue().sign_off
    retract(sign_off, by=Clinician.objects.get(), comment="Wrong.")

    page = read(reader, TIP)

    assert "Rest. rest" not in page
    assert "A clinician has taken their approval back" in page
    assert "Medically reviewed by" not in page
    assert "taken back" in read(reader, ADDRESS)


def test_an_approval_that_ran_out_is_no_badge(reader: Client, mailbox: Mailbox) -> None:
    sent_issue()

    (now,) = sent_tips()
    (later,) = sent_tips(NOW + timedelta(days=500))

    assert now.standing.is_claim
    assert (later.standing.state, later.standing.is_claim) == ("lapsed", False)
    assert later.standing.signer_name == ""
