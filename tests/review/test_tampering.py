"""What a superuser does to a sign-off's row makes no badge."""

from datetime import timedelta

import pytest

from review import SignOff, sign, standing
from review.signing import retract
from review.standing_of import State
from tests.conftest import Servers
from tests.people import carla
from tests.tampering import rewritable, tamper

TEXT: dict[str, object] = {"format": "article/1", "body": "<p>Take 5 mg.</p>"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE review_signoff SET id = id + 1000 WHERE verdict = 'approved'",
        "UPDATE review_signoff SET id = -id",
        "UPDATE review_signoff SET verdict = 'approved'",
        "UPDATE review_signoff SET signed_at = signed_at + interval '1 hour' "
        "WHERE verdict = 'approved'",
        "UPDATE review_signoff SET digest = repeat('0', 64) "
        "WHERE verdict = 'retracted'; "
        "UPDATE review_signoff SET valid_until = valid_until + interval '1 day'",
    ],
)
def test_m1_a_retraction_can_not_be_shuffled_away(
    cluster: Servers, cloned_database: str, statement: str
) -> None:
    with rewritable(cluster, cloned_database):
        given = sign(
            TEXT,
            subject="article:1",
            by=carla(),
            authors=[],
            verdict=SignOff.Verdict.APPROVED,
            conflicts_of_interest="none",
            valid_for=timedelta(days=365),
        )
        retract(given, by=given.clinician, comment="A study was withdrawn.")

        tamper(statement)

        found = standing("article:1", given.digest)
        assert found.state in (State.RETRACTED, State.UNSIGNED)
