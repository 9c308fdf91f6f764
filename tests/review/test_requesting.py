"""A text's way to a clinician and back: one queue, one answer, everybody told."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from mail import Delivery
from review import AlreadyAnswered, NotAllowedToSign, ReviewRequest, SignOff, standing
from review.content import digest
from review.desk import difference
from review.models import LONGEST_VALIDITY, TextInUse
from review.requesting import (
    assign,
    call_back,
    decline,
    hand_on,
    note_newer_text,
    put_in_use,
    request,
)
from review.signing import NothingToRetract, Refused, answer, retract
from review.standing_of import State
from tests.people import carla, edith

TEXT: dict[str, object] = {"format": "article/1", "body": "<p>Take 5 mg.</p>"}
SAID: dict[str, Any] = {
    "verdict": SignOff.Verdict.APPROVED,
    "conflicts_of_interest": "none",
    "valid_for": timedelta(days=365),
}


def asked(content: dict[str, object] = TEXT, **changes: Any) -> ReviewRequest:
    fields = {
        "subject": "article:1",
        "title": "Muscle twitching",
        "url": "/admin/articles/revision/1/change/",
        "authors": [],
        "by": edith(),
        **changes,
    }
    return request(content, **fields)


def mails_to(address: str) -> list[str]:
    """Subjects of what was queued for this person."""
    found = Delivery.objects.filter(recipient__address=address).order_by("pk")
    return [
        next(
            line.removeprefix("Subject: ")
            for line in bytes(one.message or b"").decode().split("\r\n")
            if line.startswith("Subject: ")
        )
        for one in found
    ]


def test_the_assignee_gets_a_mail_once(db: None) -> None:
    doctor = carla()

    asked(assignee=doctor)
    asked(assignee=doctor)

    assert mails_to("carla@staff.health.example") == ["Please review: Muscle twitching"]


def test_a_text_waits_once_however_often_it_is_submitted(db: None) -> None:
    first = asked(note="Look at the dose.")
    again = asked(due_on=timezone.now().date())

    assert again.pk == first.pk
    again.refresh_from_db()
    assert (again.note, again.due_on) == ("Look at the dose.", timezone.now().date())


def test_an_answer_is_on_exactly_the_text_that_was_asked_about(db: None) -> None:
    waiting = asked()

    given = answer(waiting, by=carla(), **SAID)

    waiting.refresh_from_db()
    assert waiting.state == ReviewRequest.State.ANSWERED
    assert waiting.sign_off == given
    assert standing("article:1", digest(TEXT)).state is State.CURRENT


def test_a_newer_draft_is_told_and_not_signed(db: None) -> None:
    waiting = asked()
    newer = {**TEXT, "body": "<p>Take 50 mg.</p>"}
    note_newer_text("article:1", digest(newer))
    waiting.refresh_from_db()

    answer(waiting, by=carla(), **SAID)

    assert waiting.newer_text_at is not None
    assert standing("article:1", digest(TEXT)).publishable
    assert standing("article:1", digest(newer)).state is State.UNSIGNED


def test_a_text_that_is_the_newest_again_has_no_newer_one(db: None) -> None:
    waiting = asked()
    fields = {"subject": "article:1", "title": "T", "url": "/", "authors": []}
    put_in_use(TEXT, **fields)  # type: ignore[arg-type]
    note_newer_text("article:1", "0" * 64)

    note_newer_text("article:1", digest(TEXT))

    waiting.refresh_from_db()
    assert waiting.newer_text_at is None
    assert TextInUse.objects.get().newer_text_at is None


@pytest.mark.parametrize("shown", ["", "0" * 64])
def test_a_text_that_was_not_shown_is_not_signed(db: None, shown: str) -> None:
    with pytest.raises(NotAllowedToSign, match="not the text that was shown"):
        answer(asked(), by=carla(), shown=shown, **SAID)


def test_a_request_whose_row_was_altered_is_not_signed(db: None) -> None:
    waiting = asked()
    other = {**TEXT, "body": "<p>Take 50 mg.</p>"}
    ReviewRequest.objects.update(content=other)

    with pytest.raises(NotAllowedToSign, match="not the text that was shown"):
        answer(waiting, by=carla(), **SAID)


def test_a_second_answer_is_refused_with_the_first_ones_name(db: None) -> None:
    waiting = asked()
    answer(waiting, by=carla(), **SAID)

    with pytest.raises(AlreadyAnswered, match="Carla Example answered"):
        answer(waiting, by=carla(username="cyril"), **SAID)

    assert SignOff.objects.count() == 1


def test_m2_an_author_can_neither_be_asked_nor_answer(db: None) -> None:
    doctor = carla()

    with pytest.raises(NotAllowedToSign, match="wrote part"):
        asked(assignee=doctor, authors=[doctor.user_id])
    waiting = asked(authors=[doctor.user_id])
    with pytest.raises(NotAllowedToSign, match="another clinician"):
        answer(waiting, by=doctor, **SAID)

    assert waiting not in ReviewRequest.objects.for_clinician(doctor)


def test_m2_a_lapsed_clinician_is_not_asked(db: None) -> None:
    lapsed = carla(credential_expires_at=timezone.now() - timedelta(hours=1))

    with pytest.raises(NotAllowedToSign, match="lapsed"):
        asked(assignee=lapsed)


def test_asking_for_changes_needs_a_word_on_which(db: None) -> None:
    said = {**SAID, "verdict": SignOff.Verdict.CHANGES_REQUESTED}

    with pytest.raises(NotAllowedToSign, match="Say why"):
        answer(asked(), by=carla(), **said)

    answer(asked(), by=carla(), comment="The dose is wrong.", **said)
    assert standing("article:1", digest(TEXT)).state is State.CHANGES_REQUESTED


def test_a_declined_text_is_back_in_the_queue_and_the_editor_knows(db: None) -> None:
    doctor = carla()
    waiting = asked(assignee=doctor)

    decline(waiting, by=doctor, reason="Not my field.")

    waiting.refresh_from_db()
    assert waiting.assignee is None
    assert "Carla Example: Not my field." in waiting.declined
    assert mails_to("edith@staff.health.example") == [
        "Another clinician is needed: Muscle twitching"
    ]


def test_declining_needs_a_reason(db: None) -> None:
    with pytest.raises(Refused, match="Say why"):
        decline(asked(), by=carla(), reason=" ")


def test_a_text_is_handed_on_to_a_colleague_who_is_told(db: None) -> None:
    doctor, colleague = carla(), carla(username="cyril")
    waiting = asked(assignee=doctor)

    hand_on(waiting, by=doctor, to=colleague)

    assert mails_to("cyril@staff.health.example") == ["Please review: Muscle twitching"]
    with pytest.raises(NotAllowedToSign, match="colleague"):
        hand_on(ReviewRequest.objects.get(), by=doctor, to=doctor)


def test_what_a_colleague_was_given_meanwhile_is_theirs(db: None) -> None:
    """However old the page is on which somebody presses."""
    doctor, dora = carla(), carla(username="dora")
    eve = carla(username="eve")
    stale = asked(assignee=doctor)
    assign(ReviewRequest.objects.get(), dora)

    with pytest.raises(NotAllowedToSign, match="assigned to a colleague"):
        hand_on(stale, by=doctor, to=eve)
    with pytest.raises(NotAllowedToSign, match="assigned to a colleague"):
        answer(stale, by=doctor, **SAID)
    with pytest.raises(NotAllowedToSign, match="assigned to a colleague"):
        decline(stale, by=doctor, reason="Not my subject.")

    stale.refresh_from_db()
    assert (stale.assignee, stale.state) == (dora, ReviewRequest.State.OPEN)


def test_what_was_called_back_takes_no_verdict(db: None) -> None:
    waiting = asked()
    call_back(waiting)

    with pytest.raises(AlreadyAnswered, match="called back"):
        answer(waiting, by=carla(), **SAID)
    with pytest.raises(AlreadyAnswered):
        assign(waiting, carla())


def test_an_approval_can_be_taken_back_by_who_gave_it_only(db: None) -> None:
    given = answer(asked(), by=carla(), **SAID)

    with pytest.raises(NotAllowedToSign, match="Only who signed"):
        retract(given, by=carla(username="cyril"), comment="I disagree.")
    retract(given, by=carla(), comment="A study was withdrawn.")

    assert standing("article:1", digest(TEXT)).state is State.RETRACTED
    with pytest.raises(NothingToRetract):
        retract(given, by=carla(), comment="again")


def test_a_verdict_on_a_twin_of_the_text_counts_for_the_twin_only(db: None) -> None:
    """Else an author could sign a copy that a friend saved as another article."""
    answer(asked(subject="article:2"), by=carla(), **SAID)

    assert standing("article:2", digest(TEXT)).publishable
    assert standing("article:1", digest(TEXT)).state is State.UNSIGNED


@pytest.mark.parametrize("days", [1, 366, LONGEST_VALIDITY.days])
def test_m2_no_approval_outlasts_36_months(db: None, days: int) -> None:
    given = answer(asked(), by=carla(), **{**SAID, "valid_for": timedelta(days=days)})

    assert given.valid_until - given.signed_at <= LONGEST_VALIDITY


def test_nobody_without_an_address_holds_up_the_work(
    db: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    doctor = carla()
    doctor.user.email = ""
    doctor.user.save(update_fields=["email"])

    asked(assignee=doctor)

    assert not Delivery.objects.exists()


def test_what_was_taken_back_hides_nothing_in_the_next_difference(db: None) -> None:
    wrong = {**TEXT, "body": "<p>Take 500 mg.</p>"}
    given = answer(asked(wrong), by=carla(), **SAID)
    retract(given, by=carla(), comment="The dose is wrong.")

    before, shown = difference(asked({**wrong, "body": "<p>Take 500 mg!</p>"}))

    assert before is None
    assert shown.is_new


def test_the_difference_is_to_the_text_approved_last(db: None) -> None:
    answer(asked(), by=carla(), **SAID)

    before, shown = difference(asked({**TEXT, "body": "<p>Take 50 mg.</p>"}))

    assert before is not None
    assert before.content == TEXT
    assert not shown.is_new


def test_a_lapsed_clinician_may_take_an_approval_back(db: None) -> None:
    doctor = carla()
    given = answer(asked(), by=doctor, **SAID)
    doctor.credential_expires_at = timezone.now() - timedelta(hours=1)
    doctor.save(update_fields=["credential_expires_at"])

    retract(given, by=doctor, comment="A study was withdrawn.")

    assert standing("article:1", digest(TEXT)).state is State.RETRACTED
    with pytest.raises(NotAllowedToSign, match="lapsed"):
        answer(asked(), by=doctor, **SAID)


def test_who_left_is_not_asked(db: None) -> None:
    gone = carla()
    gone.user.is_active = False
    gone.user.save(update_fields=["is_active"])

    with pytest.raises(NotAllowedToSign, match="no longer works here"):
        asked(assignee=gone)


def test_asked_twice_both_texts_authors_may_not_sign(db: None) -> None:
    doctor = carla()
    asked()

    waiting = asked(authors=[doctor.user_id])

    with pytest.raises(NotAllowedToSign, match="another clinician"):
        answer(waiting, by=doctor, **SAID)


def test_a_text_is_not_compared_with_itself(db: None) -> None:
    answer(asked(), by=carla(), **SAID)

    before, shown = difference(asked())

    assert before is None
    assert shown.is_new


def test_a_standing_is_of_its_time(db: None) -> None:
    given = answer(asked(), by=carla(), **SAID)

    before = standing("article:1", digest(TEXT), given.signed_at - timedelta(seconds=1))

    assert before.state is State.UNSIGNED
