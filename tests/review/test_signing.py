"""A badge follows from a verdict on the exact text, and from nothing else."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from review import Clinician, NotAllowedToSign, SignOff, digest, sign, standing
from review.models import LONGEST_VALIDITY
from review.standing_of import State

TEXT: dict[str, object] = {"format": "article/1", "body": "<p>Take 5 mg.</p>"}
YEAR = timedelta(days=365)
APPROVED = SignOff.Verdict.APPROVED


def carla(**changes: object) -> Clinician:
    user = User.objects.create(username=f"carla{User.objects.count()}")
    fields = {
        "user": user,
        "name": "Carla Example",
        "credentials": "MB ChB",
        "registration": "GMC 0000000",
        "credential_expires_at": timezone.now() + YEAR,
        **changes,
    }
    return Clinician.objects.create(**fields)


def signed(by: Clinician, **changes: object) -> SignOff:
    arguments = {
        "subject": "article:1",
        "by": by,
        "authors": [],
        "verdict": APPROVED,
        "conflicts_of_interest": "none",
        "valid_for": YEAR,
        "comment": "Read in full.",
        **changes,
    }
    return sign(TEXT, **arguments)  # type: ignore[arg-type]


def test_m1_a_sign_off_covers_exactly_one_text(db: None) -> None:
    signed(carla())

    assert standing("article:1", digest(TEXT)).state is State.CURRENT
    assert (
        standing("article:1", digest({**TEXT, "body": "<p>Take 50 mg.</p>"})).state
        is State.UNSIGNED
    )


def test_a_text_spelled_otherwise_in_unicode_is_the_same_text() -> None:
    composed, decomposed = {**TEXT, "t": "\u00e9"}, {**TEXT, "t": "e\u0301"}

    assert digest(composed) == digest(decomposed)


@pytest.mark.parametrize(
    ("days", "state"),
    [
        (0, State.CURRENT),
        (334, State.CURRENT),
        (335, State.DUE_SOON),
        (364, State.DUE_SOON),
        (365, State.OVERDUE),
        (454, State.OVERDUE),
        (455, State.LAPSED),
        (4000, State.LAPSED),
    ],
)
def test_m2_a_standing_grows_old(db: None, days: int, state: State) -> None:
    sign_off = signed(carla())
    at = sign_off.signed_at + timedelta(days=days)

    now = standing("article:1", sign_off.digest, at)

    assert now.state is state
    assert now.publishable is (state in (State.CURRENT, State.DUE_SOON))
    assert now.since is not None
    assert now.since <= at
    assert now.until is None or at < now.until


def test_the_latest_verdict_wins(db: None) -> None:
    doctor = carla()
    signed(doctor)
    signed(doctor, verdict=SignOff.Verdict.RETRACTED)
    assert standing("article:1", digest(TEXT)).state is State.RETRACTED

    signed(doctor)
    assert standing("article:1", digest(TEXT)).state is State.CURRENT


def test_m2_nobody_signs_their_own_text(db: None) -> None:
    doctor = carla()

    with pytest.raises(NotAllowedToSign, match="another clinician"):
        signed(doctor, authors=[doctor.user_id])


def test_m2_a_credential_that_lapsed_an_hour_ago_signs_nothing(db: None) -> None:
    doctor = carla(credential_expires_at=timezone.now() - timedelta(hours=1))

    with pytest.raises(NotAllowedToSign, match="lapsed"):
        signed(doctor)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("author_ids", "review_signoff_not_by_an_author"),
        ("credential_expires_at", "review_signoff_credential_in_force"),
        ("valid_until", "review_signoff_36_months_at_most"),
        ("conflicts_of_interest", "review_signoff_says_its_conflicts"),
    ],
)
def test_m2_the_database_refuses_the_same(
    db: None, change: str, constraint: str
) -> None:
    sign_off = signed(carla())
    worse = {
        "author_ids": [sign_off.signer_user_id],
        "credential_expires_at": sign_off.signed_at - timedelta(hours=1),
        "valid_until": sign_off.signed_at + LONGEST_VALIDITY + timedelta(days=1),
        "conflicts_of_interest": "",
    }
    other = signed(sign_off.clinician)
    row = SignOff(
        **{
            field.attname: getattr(sign_off, field.attname)
            for field in SignOff._meta.concrete_fields
            if field.attname not in ("id", "entry_id")
        }
    )
    row.entry_id = other.entry_id
    setattr(row, change, worse[change])

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        row.save(force_insert=True)


def test_demonstration_clinicians_count_in_the_demonstration_alone(
    db: None, settings: Settings
) -> None:
    signed(carla(demonstration=True))

    settings.DEMO = True
    assert standing("article:1", digest(TEXT)).state is State.CURRENT
    settings.DEMO = False
    assert standing("article:1", digest(TEXT)).state is State.UNSIGNED


def test_m2_a_credential_that_ended_since_the_page_was_opened_signs_nothing(
    db: None,
) -> None:
    doctor = carla()
    Clinician.objects.update(credential_expires_at=timezone.now() - timedelta(hours=1))

    with pytest.raises(NotAllowedToSign, match="lapsed"):
        signed(doctor)


def test_a_sign_off_names_the_clinician_as_they_are_called_now(db: None) -> None:
    doctor = carla()
    Clinician.objects.update(name="Carla Married", credentials="MB ChB, MRCP")

    given = signed(doctor)

    assert (given.signer_name, given.signer_credentials) == (
        "Carla Married",
        "MB ChB, MRCP",
    )
