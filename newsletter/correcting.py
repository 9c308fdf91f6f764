"""A correction: a newer approved text to exactly those who got the issue."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

import mail
from newsletter.choosing import newest_fit
from newsletter.models import Correction, Issue, TipRevision
from newsletter.scheduling import mail_of, warrant
from review import SignOff, hold


class NotCorrectable(Exception):
    """Why no correction can go out now, as a sentence."""


@dataclass(frozen=True)
class Plan:
    """What a correction would send, and to how many of those who got the issue."""

    revision: TipRevision
    sign_off: SignOff
    got: int
    reached: int

    @property
    def left(self) -> int:
        return self.got - self.reached


def plan(issue: Issue, at: datetime | None = None) -> Plan:
    """Raises NotCorrectable."""
    if issue.batch is None:
        raise NotCorrectable("This issue was not sent to anybody.")
    if not mail.has_ended(issue.batch):
        raise NotCorrectable(
            "Some of this issue still waits or is being handed over, and would get the "
            "old text. Cancel it, or wait until it has ended."
        )
    revision, sign_off = text_for(issue, at or timezone.now())
    reachable = mail.to_correct(issue.batch)
    return Plan(
        revision=revision,
        sign_off=sign_off,
        got=mail.counts(issue.batch).accepted,
        reached=reachable.count(),
    )


def text_for(issue: Issue, now: datetime) -> tuple[TipRevision, SignOff]:
    """The newest text of the tip that may be sent. Raises NotCorrectable.

    Only one newer than all that these people were sent is a correction.
    """
    sent = [issue.tip_revision, *(one.tip_revision for one in issue.corrections.all())]
    newest_sent = max(one.number for one in sent)
    newer = issue.tip_revision.tip.revisions.filter(number__gt=newest_sent)
    found = newest_fit(newer.select_related("tip", "entry"), now)
    if found is None:
        raise NotCorrectable(
            "There is no newer text of this tip that a clinician has approved, with "
            "the articles it relies on in date. Revise the tip and submit it for "
            "review first."
        )
    return found


@transaction.atomic
def correct(issue: Issue, *, shown: int, by: User) -> Correction:
    """Send the revision `shown` to those who got the issue and may still be mailed.

    Raises NotCorrectable: also if another text is the newest approved one by now, or
    if somebody else has just sent it.
    """
    # Nobody takes the approval back from here on, and a second click waits.
    hold(issue.tip_revision.tip.subject)
    issue = Issue.objects.select_for_update(of=("self",)).get(pk=issue.pk)
    if issue.corrections.filter(tip_revision=shown).exists():
        raise NotCorrectable("This text was sent as a correction already.")
    now = timezone.now()
    found = plan(issue, now)
    if found.revision.pk != shown:
        raise NotCorrectable("Another text is the newest approved one now: read it.")
    correction = Correction(
        issue=issue, tip_revision=found.revision, starts_at=now, by=by
    )
    correction.hold(found.sign_off)
    assert issue.batch is not None, "there is a plan"  # noqa: S101
    correction.batch = mail.correct(
        issue.batch,
        name=str(correction),
        mail=mail_of(found.revision, found.sign_off, corrected=issue),
        warrant=warrant(found.sign_off),
        by=by,
    )
    if correction.batch is None:
        raise NotCorrectable(
            "Nobody who got this issue may still be mailed, or some of it was just "
            "sent again."
        )
    correction.save()
    return correction
