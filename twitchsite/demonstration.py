"""The demonstration: invented people, the library, a schedule that repeats.

Everything here is safe to repeat; `up` runs it at every start in demonstration mode.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from articles import loading
from articles.models import Article, Revision
from articles.publishing import publish
from newsletter import composing
from newsletter.models import Schedule, TipRevision
from review import Clinician, SignOff, sign, standing

PEOPLE = {
    "edith": "editor",
    "carla": "clinician",
    "nadia": "newsletter manager",
    "oscar": "operator",
}
A_YEAR = timedelta(days=365)
SCHEDULE = "Demonstration"


@dataclass(frozen=True)
class Login:
    role: str
    username: str
    password: str


def prepare(say: Callable[[str], None]) -> list[Login]:
    """Make the demonstration ready, telling `say` each step; the fresh passwords."""
    say("people")
    logins = [person(name, role) for name, role in PEOPLE.items()]
    carla = clinician()
    say("articles and policies")
    for revision, _ in loading.load(operator_fact=example_of, say=say):
        put_on_the_site(revision, carla)
    say("tips")
    for tip, _ in composing.load(say=say):
        approve(tip.content, tip.tip.subject, tip, carla)
    schedule()
    return logins


@transaction.atomic
def person(username: str, role: str) -> Login:
    """A member of staff with a password nobody has seen before this start."""
    user, _ = User.objects.get_or_create(
        username=username, defaults={"first_name": username.title()}
    )
    password = secrets.token_urlsafe(9)
    user.is_staff = True
    user.email = f"{username}@staff.twitchsite.example"
    user.set_password(password)
    user.save(update_fields=["is_staff", "email", "password"])
    user.groups.set([Group.objects.get(name=role)])
    return Login(role, username, password)


def clinician() -> Clinician:
    found, _ = Clinician.objects.get_or_create(
        user=User.objects.get(username="carla"),
        defaults={
            "name": "Carla Example",
            "credentials": "invented clinician",
            "registration": "none: this person does not exist",
            "credential_expires_at": timezone.now() + 10 * A_YEAR,
            "demonstration": True,
        },
    )
    return found


def put_on_the_site(revision: Revision, by: Clinician) -> None:
    """Approve and publish a library text, unless an editor published another."""
    article = revision.article
    was_withdrawn = article.withdrawn_at is not None
    if article.live_revision_id == revision.pk or was_withdrawn:
        return
    if revision.note != loading.LIBRARY_NOTE:
        return
    if article.kind != Article.Kind.POLICY:
        approve(revision.content, article.subject, revision, by)
    publish(revision)


def approve(
    content: dict[str, object],
    subject: str,
    revision: Revision | TipRevision,
    by: Clinician,
) -> None:
    """An approval in the demonstration's name, unless the text has a standing."""
    if standing(subject, revision.digest).publishable:
        return
    sign(
        content,
        subject=subject,
        by=by,
        authors=revision.author_ids,
        verdict=SignOff.Verdict.APPROVED,
        conflicts_of_interest="none: an invented person",
        valid_for=A_YEAR,
        comment="Signed by the demonstration, not by a clinician.",
    )


def schedule() -> None:
    """Tips every DEMO_TIP_EVERY seconds, from the first again after the last."""
    Schedule.objects.update_or_create(
        name=SCHEDULE,
        defaults={
            "every": timedelta(seconds=settings.DEMO_TIP_EVERY),
            "repeats": True,
            "time_of_day": time(9),
        },
    )


def example_of(fact: str) -> str:
    """What stands in a policy where the operator's own fact belongs."""
    known = {
        "postal address": settings.POSTAL_ADDRESS,
        "contact e-mail": settings.CONTACT_EMAIL,
    }
    return known.get(fact, f"(example: {fact})")
