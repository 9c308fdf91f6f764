"""The review record of an article: what readers may see of its verdicts."""

from dataclasses import dataclass
from datetime import date

from django.urls import reverse

from articles.models import Article, PublishingEvent
from ledger import is_authentic, is_redacted
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


def public_title(article: Article) -> str:
    """Of the text that readers see or saw last; a later draft's is not theirs yet."""
    if article.live_revision:
        return article.live_revision.title
    last = article.events.filter(act__in=SHOWN).select_related("revision").first()
    return last.revision.title if last and last.revision else article.slug


def verdicts(article: Article) -> list[Verdict]:
    """Every verdict on a text that readers saw, newest first.

    What clinicians said of drafts that never went out is between them and the editors.
    """
    given = _given(article)
    return [_shown(article, one, _before(one, given)) for one in reversed(given)]


def _given(article: Article) -> list[SignOff]:
    """As they were given: a row that was altered since is nobody's verdict."""
    rows = (
        SignOff.objects.counting()
        .filter(subject=article.subject, digest__in=published_digests(article))
        .select_related("entry")
        .order_by("entry")
    )
    return [one for one in rows if is_authentic(one)]


def _before(one: SignOff, given: list[SignOff]) -> SignOff | None:
    """The newest earlier approval of another text."""
    earlier = [
        other
        for other in given
        if other.entry_id < one.entry_id
        and other.digest != one.digest
        and other.verdict == SignOff.Verdict.APPROVED
    ]
    return earlier[-1] if earlier else None


def _shown(article: Article, one: SignOff, before: SignOff | None) -> Verdict:
    place = [article.slug, one.digest]
    is_approval = one.verdict == SignOff.Verdict.APPROVED
    has_changes = before and _has_its_text(one) and _has_its_text(before)
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
        redacted=is_redacted(one),
        text_url=(
            reverse("articles:signed-text", args=place) if _has_its_text(one) else ""
        ),
        changes_url=(
            reverse("articles:signed-changes", args=place) if has_changes else ""
        ),
    )


def _has_its_text(one: SignOff) -> bool:
    """Whether the row still holds the very text that its verdict is on."""
    return one.text_digest() == one.digest


def signed_text(article: Article, digest: str) -> bytes | None:
    """The very bytes whose SHA-256 is `digest`; None if readers never saw them."""
    found = next(
        (one for one in _given(article) if one.digest == digest and _has_its_text(one)),
        None,
    )
    return canonical(found.content) if found else None


def changes(
    article: Article, digest: str
) -> tuple[SignOff, SignOff, Difference] | None:
    """(signed before, signed now, what differs); None where there is no pair."""
    given = _given(article)
    now = next((one for one in given if one.digest == digest), None)
    before = _before(now, given) if now else None
    if now is None or before is None:
        return None
    if not _has_its_text(now) or not _has_its_text(before):
        return None
    return before, now, compare(before.content, now.content)
