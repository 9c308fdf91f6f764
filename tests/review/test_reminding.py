"""Nobody forgets a review: 30 days before, on the day, then monthly."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from mail import Delivery
from review import (
    ReviewRequest,
    SignOff,
    call_back,
    note_newer_text,
    put_in_use,
    sign,
    standing,
    take_out_of_use,
)
from review.models import TextInUse
from review.reminding import remind, stage_of
from tests.people import carla, edith

TEXT: dict[str, object] = {"format": "article/1", "body": "<p>Take 5 mg.</p>"}
YEAR = timedelta(days=365)


def text_in_use(**changes: Any) -> SignOff:
    """An approved text that readers get; its signature."""
    edith()
    given = sign(
        TEXT,
        subject="article:1",
        by=carla(),
        authors=[],
        verdict=SignOff.Verdict.APPROVED,
        conflicts_of_interest="none",
        valid_for=YEAR,
        **changes,
    )
    put_in_use(TEXT, subject="article:1", title="Twitching", url="/x/", authors=[])
    return given


def recipients_of(at: datetime) -> list[str]:
    before = set(Delivery.objects.values_list("pk", flat=True))
    remind(at)
    new = Delivery.objects.exclude(pk__in=before).select_related("recipient")
    return sorted(one.recipient.address.partition("@")[0] for one in new)


@pytest.mark.parametrize(
    ("days", "stage"),
    [(-31, None), (-30, 0), (-1, 0), (0, 1), (29, 1), (30, 2), (60, 3), (400, 14)],
)
def test_m2_a_stage_begins_30_days_before_on_the_day_and_each_month(
    days: int, stage: int | None
) -> None:
    ends = timezone.now()

    assert stage_of(ends, ends + timedelta(days=days)) == stage


def test_m2_signer_and_editors_are_told_once_a_stage(db: None) -> None:
    ends = text_in_use().valid_until

    assert recipients_of(ends - timedelta(days=31)) == []
    assert recipients_of(ends - timedelta(days=30)) == ["carla", "edith"]
    assert recipients_of(ends - timedelta(days=29)) == []
    assert recipients_of(ends) == ["carla", "edith"]
    assert recipients_of(ends + timedelta(days=29)) == []
    assert recipients_of(ends + timedelta(days=30)) == ["carla", "edith"]


def test_m2_the_same_text_waits_on_the_last_signers_desk(db: None) -> None:
    given = text_in_use()

    remind(given.valid_until - timedelta(days=10))
    remind(given.valid_until)

    waiting = ReviewRequest.objects.get()
    assert waiting.digest == given.digest
    assert waiting.assignee == given.clinician
    assert waiting.due_on == given.valid_until.date()


def test_signed_again_nobody_is_reminded(db: None) -> None:
    given = text_in_use()
    later = given.valid_until - timedelta(days=5)
    text_in_use(at=later)

    assert recipients_of(given.valid_until) == []


def test_after_a_long_silence_only_the_newest_stage_is_told(db: None) -> None:
    ends = text_in_use().valid_until

    assert recipients_of(ends + timedelta(days=100)) == ["carla", "edith"]


def test_a_text_that_left_the_site_reminds_nobody(db: None) -> None:
    ends = text_in_use().valid_until
    take_out_of_use("article:1")

    assert recipients_of(ends) == []


def test_a_signer_who_can_sign_no_more_is_replaced_by_the_queue(db: None) -> None:
    given = text_in_use()
    given.clinician.credential_expires_at = given.valid_until - timedelta(days=60)
    given.clinician.save(update_fields=["credential_expires_at"])

    remind(given.valid_until)

    assert ReviewRequest.objects.get().assignee is None


def test_a_renewal_that_was_called_back_is_not_opened_again(db: None) -> None:
    ends = text_in_use().valid_until
    remind(ends)
    call_back(ReviewRequest.objects.get())

    remind(ends + timedelta(hours=1))

    assert ReviewRequest.objects.open().count() == 0
    remind(ends + timedelta(days=30))
    assert ReviewRequest.objects.open().count() == 1


def test_a_renewal_says_that_a_newer_draft_exists(db: None) -> None:
    ends = text_in_use().valid_until
    note_newer_text("article:1", "0" * 64)

    remind(ends)

    assert ReviewRequest.objects.get().newer_text_at is not None


def test_one_text_that_fails_silences_no_other(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = text_in_use().valid_until
    TextInUse.objects.create(
        subject="article:0",
        title="x",
        url="/",
        digest="0" * 64,
        author_ids=[],
        content={},
    )
    real = standing

    def failing(subject: str, *rest: Any) -> Any:
        if subject == "article:0":
            raise RuntimeError("a fault of one text")
        return real(subject, *rest)

    monkeypatch.setattr("review.reminding.standing", failing)

    assert recipients_of(ends) == ["carla", "edith"]


def test_a_signer_who_wrote_part_of_it_since_is_not_asked_again(db: None) -> None:
    given = text_in_use()
    TextInUse.objects.update(author_ids=[given.clinician.user_id])

    remind(given.valid_until)

    assert ReviewRequest.objects.get().assignee is None
