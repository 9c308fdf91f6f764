"""The tips that went out, readable by everybody, each with its text's standing."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from articles import catalogue
from articles.catalogue import Card
from ledger import is_redacted
from mail import Batch
from newsletter.models import Correction, HealthTip, Issue, TipRevision
from review import ReviewLine, State, line_of, standings

_NEWEST_FIRST = ("-slot", "-pk")


@dataclass(frozen=True)
class SentTip:
    """A tip as it was last sent, or corrected since."""

    slug: str
    url: str
    subject: str
    preheader: str
    # "" where nobody should go by the text any more.
    body: SafeString
    sent_on: date
    corrected_on: date | None
    standing: ReviewLine
    articles: list[Card]

    @property
    def is_taken_back(self) -> bool:
        return _taken_back(self.standing)


def sent_tips(at: datetime | None = None) -> list[SentTip]:
    """Each tip that went out by `at` (now by default) once, the last sent first."""
    now = at or timezone.now()
    issues = _last_issues(now)
    corrections = _corrections(issues, now)
    texts = {
        issue.pk: corrections[issue.pk].tip_revision
        if issue.pk in corrections
        else issue.tip_revision
        for issue in issues
    }
    readable = [one for one in issues if not is_redacted(texts[one.pk])]
    pairs = {pk: (one.tip.subject, one.text_digest()) for pk, one in texts.items()}
    found = standings([pairs[one.pk] for one in readable], now)
    return [
        _sent(
            issue,
            texts[issue.pk],
            corrections.get(issue.pk),
            line_of(found[pairs[issue.pk]]),
        )
        for issue in readable
    ]


def _last_issues(now: datetime) -> list[Issue]:
    began = Issue.objects.sent().filter(starts_at__lte=now)
    own = began.filter(tip_revision__tip=OuterRef("pk")).order_by(*_NEWEST_FIRST)
    last = HealthTip.objects.annotate(last=Subquery(own.values("pk")[:1]))
    chosen = Issue.objects.filter(pk__in=last.values("last"))
    related = ("tip_revision__tip", "tip_revision__entry")
    return list(chosen.select_related(*related).order_by(*_NEWEST_FIRST))


def _corrections(issues: list[Issue], now: datetime) -> dict[int, Correction]:
    """The last correction of each, by the issue's id."""
    began = Correction.objects.filter(issue__in=issues, starts_at__lte=now)
    began = began.exclude(batch__state=Batch.State.CANCELLED)
    related = ("tip_revision__tip", "tip_revision__entry")
    return {one.issue_id: one for one in began.select_related(*related).order_by("pk")}


def _sent(
    issue: Issue, text: TipRevision, correction: Correction | None, line: ReviewLine
) -> SentTip:
    content: dict[str, Any] = text.content
    return SentTip(
        slug=text.tip.slug,
        url=reverse("newsletter:archived-tip", args=[text.tip.slug]),
        subject=content["subject"],
        preheader=content["preheader"],
        # Sanitised when the revision was made (newsletter.composing).
        body=mark_safe("" if _taken_back(line) else content["html"]),  # noqa: S308
        sent_on=issue.slot.date(),
        corrected_on=correction.starts_at.date() if correction else None,
        standing=line,
        articles=catalogue.cards(text.cites),
    )


def _taken_back(line: ReviewLine) -> bool:
    return line.state == State.RETRACTED.name.lower()
