"""The review record of an article: what readers may see of its verdicts."""

from dataclasses import dataclass
from datetime import date

from django.urls import reverse

from articles.models import Article, PublishingEvent
from ledger import is_redacted
from review import Difference, SignOff, canonical, compare

SHOWN = (PublishingEvent.Act.PUBLISHED, PublishingEvent.Act.PUBLISHED_UNSIGNED)


@dataclass(frozen=True)
class Verdict:
    """One sign-off as the record shows it."""

    verdict: str
    signer_name: str
    signer_credentials: str
    signed_on: date
    valid_until: date | None
    comment: str
    conflicts: str
    digest: str
    demonstration: bool
    redacted: bool
    text_url: str
    changes_url: str


def published_digests(article: Article) -> set[str]:
    """Of every text of the article that readers have ever seen."""
    known = set(article.events.filter(act__in=SHOWN).values_list("digest", flat=True))
    if article.live_revision:
        known.add(article.live_revision.digest)
    return known


def verdicts(article: Article) -> list[Verdict]:
    """Every verdict on a text that readers saw, newest first.

    What clinicians said of drafts that never went out is between them and the editors.
    """
    given = _given(article)
    return [_shown(article, one, _before(one, given)) for one in reversed(given)]


def _given(article: Article) -> list[SignOff]:
    return list(
        SignOff.objects.counting()
        .filter(subject=article.subject, digest__in=published_digests(article))
        .order_by("pk")
    )


def _before(one: SignOff, given: list[SignOff]) -> SignOff | None:
    """The newest earlier approval of another text."""
    earlier = [
        other
        for other in given
        if other.pk < one.pk
        and other.digest != one.digest
        and other.verdict == SignOff.Verdict.APPROVED
    ]
    return earlier[-1] if earlier else None


def _shown(article: Article, one: SignOff, before: SignOff | None) -> Verdict:
    redacted = is_redacted(one)
    place = [article.slug, one.digest]
    is_approval = one.verdict == SignOff.Verdict.APPROVED
    has_changes = before and not redacted and not is_redacted(before)
    return Verdict(
        verdict=one.verdict,
        signer_name=one.signer_name,
        signer_credentials=one.signer_credentials,
        signed_on=one.signed_at.date(),
        valid_until=one.valid_until.date() if is_approval else None,
        comment=one.comment,
        conflicts=one.conflicts_of_interest,
        digest=one.digest,
        demonstration=one.demonstration,
        redacted=redacted,
        text_url="" if redacted else reverse("articles:signed-text", args=place),
        changes_url=(
            reverse("articles:signed-changes", args=place) if has_changes else ""
        ),
    )


def signed_text(article: Article, digest: str) -> bytes | None:
    """The very bytes whose SHA-256 is `digest`; None if readers never saw them."""
    found = next((one for one in _given(article) if one.digest == digest), None)
    return None if found is None or is_redacted(found) else canonical(found.content)


def changes(
    article: Article, digest: str
) -> tuple[SignOff, SignOff, Difference] | None:
    """(signed before, signed now, what differs); None where there is no pair."""
    given = _given(article)
    now = next((one for one in given if one.digest == digest), None)
    before = _before(now, given) if now else None
    if now is None or before is None or is_redacted(now) or is_redacted(before):
        return None
    return before, now, compare(before.content, now.content)
