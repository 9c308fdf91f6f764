"""One person for each role and one thing of each kind, made once."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import date, time, timedelta
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from articles import editing, publishing, scheduling
from articles.models import Article, Draft, Revision, Section
from articles.pictures import take_in
from articles.submitting import submit
from ledger.recording import attest
from ledger.sealing import seal
from mail import Delivery, Recipient
from mail.models import Batch
from newsletter import composing
from newsletter.desk import ask
from newsletter.models import (
    ConsentEvent,
    Correction,
    HealthTip,
    Issue,
    LeavingReason,
    Schedule,
    Subscriber,
    SubscriberAccess,
    TipRevision,
    Wording,
)
from review import Clinician, ReviewRequest, SignOff, sign
from tests.articles.test_encoding import plain, written
from tests.articles.test_publishing import TEXT, make_article
from tests.house.roles.matrix import ROLES, WHO

TOMORROW = timezone.now() + timedelta(days=1)

SITE: "dict[str, admin.ModelAdmin[Any]]" = {
    str(model._meta.model_name): one for model, one in admin.site._registry.items()
}
TABLES = [
    model._meta.db_table
    for model in apps.get_models(include_auto_created=True)
    if model is not Session
]


class World:
    """Otto wrote what is nobody's own; Cora signed what is signed."""

    def __init__(self) -> None:
        self.users = {role: staff(role.replace(" ", "-"), role) for role in ROLES}
        self.users["staff without a role"] = staff("nora")
        self.otto, self.sue = staff("otto", "author"), staff("sue", superuser=True)
        self.cora = clinician(staff("cora", "clinician"))
        self.newcomer = clinician(staff("newcomer"))
        self.signer = clinician(self.users["clinician"])
        self.clients = {who: browser(self.users.get(who)) for who in WHO}
        self.superuser = browser(self.sue)
        self._articles()
        self._tips()
        self._mails()
        self._looks()
        # One of each for everybody, whether or not they may have it.
        self.drafts: list[Draft] = []
        self.texts: list[Revision] = []
        self.approved: list[Revision] = []
        self.requests: list[ReviewRequest] = []
        self.approvals = [self._approval(one) for one in (self.cora, self.signer)]
        for user in (self.otto, *self.users.values()):
            self._things_of(user)
        seal()

    def _articles(self) -> None:
        """An article and a policy on the site, and both with a publication planned."""
        self.section = Section.objects.create(slug="conditions", title="Conditions")
        self.live = self.pair("live")
        for one in self.live:
            publishing.publish(self.revision(one, self.otto))
        self.planned = self.pair("planned")
        for one in self.planned:
            text = self.revision(one, self.otto)
            scheduling.schedule(text, by=self.sue, planned_for=TOMORROW)
        self.picture = take_in(written(plain(), "PNG"), by=self.otto)

    def _tips(self) -> None:
        self.tip_text = self.revised_tip(self.otto)
        self.tip = self.tip_text.tip
        self.schedule = Schedule.objects.create(name="Weekly", time_of_day=time(9))
        self.running, self.paused, self.ended = (
            self._issue(state) for state in ("running", "paused", "finished")
        )
        self.running_correction, self.paused_correction = (
            self._sent(Correction, issue=self.running, by=self.sue, state=state)
            for state in ("running", "paused")
        )

    def _issue(self, state: str) -> Issue:
        slot = TOMORROW + timedelta(days=Issue.objects.count())
        issue: Issue = self._sent(Issue, schedule=self.schedule, slot=slot, state=state)
        return issue

    def _sent(self, model: Any, *, state: str, **fields: Any) -> Any:
        """An issue or a correction whose batch is in this state."""
        is_correction = model is Correction
        text = self.revised_tip(self.otto) if is_correction else self.tip_text
        given = self.signed(text, text.tip.subject, self.cora)
        finished_at = timezone.now() if state == "finished" else None
        return model.objects.create(
            tip_revision=text,
            sign_off=given,
            digest=given.digest,
            valid_until=given.valid_until,
            starts_at=timezone.now(),
            batch=Batch.objects.create(
                name="rest", message=b"", state=state, finished_at=finished_at
            ),
            **fields,
        )

    def _got(self, person: Recipient) -> None:
        """This person got the issue that ended, and a newer text is approved."""
        now = timezone.now()
        Delivery.objects.create(
            idempotency_key="got",
            kind="tip",
            recipient=person,
            batch=self.ended.batch,
            state="accepted",
            finished_at=now,
        )
        content = composing.content_of(self.tip.slug, "A tip", "Rest more.")
        cites = [self.live[0].slug]
        self.newer, _ = composing.revise(self.tip, content, cites=cites, by=self.otto)
        self.signed(self.newer, self.tip.subject, self.cora)

    def _mails(self) -> None:
        rosa = Recipient.objects.create(address="rosa@example.com", may_receive=True)
        Delivery.objects.create(idempotency_key="one", kind="staff", recipient=rosa)
        self._got(rosa)
        self.uncertain = Delivery.objects.create(
            idempotency_key="two",
            kind="staff",
            recipient=rosa,
            state="uncertain",
            reason="its worker vanished",
            finished_at=timezone.now(),
        )
        self.rosa = Subscriber.objects.create(recipient=rosa)
        tom = Recipient.objects.create(
            address="tom@example.com",
            suppression=Recipient.Suppression.MANUAL,
            suppressed_at=timezone.now(),
        )
        self.tom = Subscriber.objects.create(recipient=tom)
        attest(
            ConsentEvent(
                subscriber_key=self.rosa.key,
                matter="newsletter",
                act="requested",
                wording=attest(Wording(digest="0" * 64, locale="en", text={})),
                occurred_at=timezone.now(),
            )
        )

    def _looks(self) -> None:
        """Everybody has typed both addresses lately, whether or not they may."""
        for user in (*self.users.values(), self.sue):
            for subscriber in (self.rosa, self.tom):
                SubscriberAccess.objects.create(
                    by=user,
                    act=SubscriberAccess.Act.LOOKED,
                    subscriber_key=subscriber.key,
                    purpose=SubscriberAccess.Purpose.ASKED,
                )
        LeavingReason.objects.create(month=date(2026, 1, 1), reason="other", count=1)

    def _things_of(self, user: User) -> None:
        drafted, written, ready, asked = (self.pair(user.username) for _ in range(4))
        for one in drafted:
            self.revision(one, self.otto)
        self.drafts += [editing.start_draft(one, by=user) for one in drafted]
        self.texts += [self.revision(one, user, signed=False) for one in written]
        self.approved += [self.revision(one, user) for one in ready]
        submit(self.revision(asked[0], user, signed=False), by=user)
        ask(self.revised_tip(user), by=user)
        self.requests += ReviewRequest.objects.filter(requested_by=user)

    def _approval(self, by: Clinician) -> SignOff:
        text = self.revision(self.pair("approved")[0], self.otto, signed=False)
        return self.signed(text, text.article.subject, by)

    def pair(self, name: str) -> list[Article]:
        """A new article and a new policy."""
        number = Article.objects.count()
        policy = {"kind": Article.Kind.POLICY, "section": None}
        return [
            make_article(f"{name}-{number}"),
            make_article(f"{name}-policy-{number}", **policy),
        ]

    def revision(self, article: Article, by: User, *, signed: bool = True) -> Revision:
        content = {**TEXT, "title": article.slug}
        revision, _ = editing.revise(article, content, by=by)
        if signed and article.kind != Article.Kind.POLICY:
            self.signed(revision, article.subject, self.cora)
        return revision

    def revised_tip(self, by: User) -> TipRevision:
        tip = HealthTip.objects.create(slug=f"tip-{HealthTip.objects.count()}")
        content = composing.content_of(tip.slug, "A tip", "Rest.")
        return composing.revise(tip, content, cites=[self.live[0].slug], by=by)[0]

    def signed(self, text: Any, subject: str, by: Clinician) -> SignOff:
        return sign(
            text.content,
            subject=subject,
            by=by,
            authors=text.author_ids,
            verdict=SignOff.Verdict.APPROVED,
            conflicts_of_interest="none",
            valid_for=timedelta(days=365),
        )

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """What happens inside is undone; a session that changed is the old one."""
        browsers = [*self.clients.values(), self.superuser]
        kept = [copy(one.cookies) for one in browsers]
        with undone():
            yield
        for one, cookies in zip(browsers, kept, strict=True):
            one.cookies = cookies


def browser(user: User | None) -> Client:
    client = Client(headers={"X-Forwarded-Proto": "https"})
    if user:
        client.force_login(user)
    return client


def staff(name: str, role: str = "", *, superuser: bool = False) -> User:
    user = User.objects.create(username=name, is_staff=True, is_superuser=superuser)
    user.groups.set(Group.objects.filter(name=role))
    return user


def clinician(user: User) -> Clinician:
    return Clinician.objects.create(
        user=user,
        name=user.username.title(),
        credentials="MB ChB",
        registration="GMC 0",
        credential_expires_at=timezone.now() + timedelta(days=900),
    )


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside has not happened afterwards."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def writes() -> int:
    """How many rows this transaction has written so far, sessions left aside."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_inserted(one)"
            " + pg_stat_get_xact_tuples_updated(one)"
            " + pg_stat_get_xact_tuples_deleted(one)) FROM unnest(%s::regclass[]) one",
            [TABLES],
        )
        return int(cursor.fetchone()[0])


def is_refused(answer: Any, who: str) -> bool:
    if who == "anonymous":
        login = f"{reverse('admin:login')}?"
        is_led_there = str(answer.headers.get("Location")).startswith(login)
        return answer.status_code == 302 and is_led_there
    return bool(answer.status_code == 403)


def page(obj: Model, view: str = "change") -> str:
    """The address of one of an object's pages in the admin."""
    meta = obj._meta
    name = f"admin:{meta.app_label}_{meta.model_name}_{view}"
    return reverse(name, args=[obj.pk])


def table(model: str, view: str = "changelist") -> str:
    """The address of one of a model's pages in the admin."""
    return reverse(f"admin:{SITE[model].opts.app_label}_{model}_{view}")
