from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Self

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, OuterRef, Q, Subquery, Value
from django.db.models.functions import Cast, Concat, Now
from django.urls import reverse
from django.utils import timezone

from ledger import Attested
from review import digest_of_stored, state_of

HEXADECIMAL = r"^[0-9a-f]{64}$"
# What a text is made of, as PostgreSQL and as Python call the kind of it.
PARTS: dict[str, tuple[str, type]] = {
    **dict.fromkeys(("title", "summary", "body"), ("string", str)),
    **dict.fromkeys(("key_points", "care_cards", "references"), ("array", list)),
}


def _subject(pk: str) -> Concat:
    """`Article.subject` of the outer query's article."""
    number = Cast(OuterRef(pk), models.CharField())
    return Concat(Value("article:"), number, output_field=models.CharField())


class Section(models.Model):
    """One of the site's departments, such as Health Conditions at /conditions/."""

    class Slug(models.TextChoices):
        """The addresses that the site answers at; every page links to each section."""

        CONDITIONS = "conditions"
        DISCOVER = "discover"
        PLAN = "plan"
        CONNECT = "connect"

    slug = models.SlugField(
        unique=True, choices=Slug, help_text="The address, fixed from the beginning."
    )
    title = models.CharField(max_length=100)
    introduction = models.CharField(max_length=300, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "title"]
        constraints = [
            models.CheckConstraint(
                condition=Q(slug__in=["conditions", "discover", "plan", "connect"]),
                name="articles_section_has_an_address",
            )
        ]

    def __str__(self) -> str:
        return self.title


class ArticleQuerySet(models.QuerySet["Article"]):
    def published(self, at: datetime | None = None) -> Self:
        """Articles readers may see at `at` (aware; now by default).

        One whose live row is another article's, or lost a part of the text, is none.
        """
        now = at or timezone.now()
        kinds = {
            f"_{part}": Func(
                F(f"live_revision__content__{part}"),
                function="jsonb_typeof",
                output_field=models.TextField(),
            )
            for part in PARTS
        }
        own = self.filter(live_revision__article=F("pk"), published_at__lte=now)
        return (
            own.exclude(live_revision__content__has_key="redacted")
            .alias(**kinds)
            .filter(**{f"_{part}": kind for part, (kind, _) in PARTS.items()})
        )

    def with_standing(self, at: datetime | None = None) -> Self:
        """Each with `standing`, the state of its live text; unsigned without one."""
        digest = OuterRef("live_revision__digest")
        return self.annotate(standing=state_of(_subject("pk"), digest, at))

    def with_newest_title(self) -> Self:
        """Each with `newest_title`, of its newest text; None before there is one."""
        newest = Revision.objects.filter(article=OuterRef("pk")).order_by("-number")
        return self.annotate(newest_title=Subquery(newest.values("content__title")[:1]))

    def medical(self) -> Self:
        """All but the policies, which stand in the footer and in no list."""
        return self.exclude(kind=Article.Kind.POLICY)


class Article(models.Model):
    """An address with a history of texts; at most one of them is live."""

    class Kind(models.TextChoices):
        CONDITION = "condition"
        SYMPTOM = "symptom"
        ANATOMY = "anatomy"
        NEWS = "news"
        GUIDE = "guide"
        POLICY = "policy"

    slug = models.SlugField(unique=True)
    section = models.ForeignKey(
        Section, models.PROTECT, null=True, blank=True, related_name="articles"
    )
    kind = models.CharField(
        max_length=10, choices=Kind, help_text="Fixed once the article exists."
    )
    live_revision = models.OneToOneField(
        "Revision", models.PROTECT, null=True, blank=True, related_name="live_article"
    )
    published_at = models.DateTimeField(null=True, blank=True)
    first_published_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.TextField(blank=True, default="")
    replaced_by = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where readers of a withdrawn article are sent.",
    )
    unsigned_reason = models.TextField(
        blank=True,
        default="",
        help_text="Why the live text was published without a clinician's approval.",
    )
    aliases = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    codes = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    read_next = ArrayField(
        models.SlugField(), default=list, blank=True, help_text="Slugs, in this order."
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = ArticleQuerySet.as_manager()

    class Meta:
        permissions = [
            ("publish", "Can publish, schedule, withdraw and correct"),
            ("publish_unsigned", "Can publish what no clinician signed"),
            ("manage_policies", "Can write and publish policies"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(live_revision__isnull=True) | Q(published_at__isnull=False),
                name="articles_article_live_since",
            ),
            models.CheckConstraint(
                condition=Q(live_revision__isnull=True) | Q(withdrawn_at__isnull=True),
                name="articles_article_live_or_withdrawn",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True) | ~Q(withdrawn_reason=""),
                name="articles_article_withdrawn_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(kind="policy") | Q(section__isnull=False),
                name="articles_article_in_a_section",
            ),
            models.CheckConstraint(
                condition=Q(replaced_by__isnull=True) | Q(withdrawn_at__isnull=False),
                name="articles_article_replaced_when_withdrawn",
            ),
            models.CheckConstraint(
                condition=Q(unsigned_reason="") | Q(live_revision__isnull=False),
                name="articles_article_unsigned_while_live",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="kind_is_fixed", fields=["kind"]),
            # After the row is in, so that a move that ran meanwhile is seen.
            pgtrigger.Trigger(
                name="address_was_never_anothers",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("slug"),  # type: ignore[no-untyped-call]
                func="""
                IF EXISTS (SELECT 1 FROM articles_formerslug WHERE slug = NEW.slug) THEN
                    RAISE unique_violation
                    USING MESSAGE = 'this address belonged to another article';
                END IF;
                RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def get_absolute_url(self) -> str:
        name = "policy" if self.kind == self.Kind.POLICY else "article"
        return reverse(f"articles:{name}", args=[self.slug])

    def is_published(self, at: datetime | None = None) -> bool:
        """`ArticleQuerySet.published`, asked of one article."""
        live = self.live_revision
        if live is None or live.article_id != self.pk or not live.is_whole():
            return False
        return self.published_at is not None and self.published_at <= (
            at or timezone.now()
        )

    @property
    def subject(self) -> str:
        """How review and ledger call this article."""
        return f"article:{self.pk}"


class FormerSlug(models.Model):
    """An address an article once had; it redirects for ever."""

    slug = models.SlugField(unique=True)
    article = models.ForeignKey(Article, models.CASCADE, related_name="former_slugs")
    moved_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.slug


class Revision(Attested):
    """One text of an article, never changed; a sign-off covers its digest."""

    KIND = "articles.revision"
    FACTS = (
        *("article_id", "number", "digest", "author_ids", "byline"),
        *("machine_assisted", "note", "created_by_id", "created_at"),
    )
    REDACTED: ClassVar[dict[str, object]] = {"content": {"redacted": True}}

    article = models.ForeignKey(Article, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    content = models.JSONField(help_text="Format article/1, see articles.content.")
    digest = models.CharField(max_length=64)
    author_ids = ArrayField(
        models.BigIntegerField(), help_text="Users who wrote any part of this text."
    )
    byline = models.CharField(max_length=200, blank=True, default="")
    machine_assisted = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True, default="")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta(Attested.Meta):
        ordering = ["article", "number"]
        permissions = [("submit", "Can submit any text for review")]
        constraints = [
            models.UniqueConstraint(
                fields=["article", "number"], name="articles_revision_numbered"
            ),
            # What an article's live revision refers to, both at once.
            models.UniqueConstraint(
                fields=["article", "id"], name="articles_revision_as_referred_to"
            ),
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="articles_revision_digest_is_hexadecimal",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.article.slug} revision {self.number}"

    @property
    def title(self) -> str:
        found = self.content if isinstance(self.content, dict) else {}
        return str(found.get("title", "(redacted)"))

    def is_whole(self) -> bool:
        """Whether there is a text to show: not redacted, and no part of it lost."""
        return (
            isinstance(self.content, dict)
            and "redacted" not in self.content
            and all(
                isinstance(self.content.get(part), kind)
                for part, (_, kind) in PARTS.items()
            )
        )

    def get_admin_url(self) -> str:
        """Where the text is worked on."""
        return reverse("admin:articles_revision_change", args=[self.pk])

    def get_preview_url(self) -> str:
        """Where colleagues see it as a page."""
        return reverse("admin:articles_revision_preview", args=[self.pk])

    def text_digest(self) -> str:
        """Of the text as it stands in the row: what a page prints, and so believes."""
        return digest_of_stored(self.content)


class Draft(models.Model):
    """One editor's unfinished text; saving it for good makes a revision."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="drafts")
    editor = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    author_ids = ArrayField(
        models.BigIntegerField(),
        default=list,
        help_text="Everybody who typed in it: none of them may sign it.",
    )
    based_on = models.ForeignKey(Revision, models.PROTECT, null=True, blank=True)
    content = models.JSONField(help_text="As typed; checked when it is saved for good.")
    byline = models.CharField(max_length=200, blank=True, default="")
    machine_assisted = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        permissions = [("change_others", "Can revise what others wrote")]
        constraints = [
            models.UniqueConstraint(
                fields=["article", "editor"], name="articles_draft_one_each"
            )
        ]

    def __str__(self) -> str:
        return f"draft of {self.article.slug}"

    @property
    def version(self) -> str:
        """Changes whenever somebody's typing is kept."""
        return self.updated_at.isoformat()


class PublishingEvent(Attested):
    """What happened to an article in public, for ever on record."""

    KIND = "articles.publishing_event"
    FACTS = (
        *("article_id", "revision_id", "digest", "act", "text"),
        *("by_id", "occurred_at"),
    )

    class Act(models.TextChoices):
        PUBLISHED = "published"
        PUBLISHED_UNSIGNED = "published unsigned"
        WITHDRAWN = "withdrawn"
        CORRECTED = "corrected"
        MOVED = "moved"

    article = models.ForeignKey(Article, models.PROTECT, related_name="events")
    revision = models.ForeignKey(
        Revision, models.PROTECT, null=True, related_name="events"
    )
    digest = models.CharField(max_length=64, blank=True, default="")
    act = models.CharField(max_length=20, choices=Act)
    text = models.TextField(blank=True, default="", help_text="The reason or note.")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    occurred_at = models.DateTimeField(default=timezone.now)

    class Meta(Attested.Meta):
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(act__in=["published unsigned", "withdrawn", "corrected"])
                | ~Q(text=""),
                name="articles_publishingevent_says_why",
            )
        ]

    def __str__(self) -> str:
        return f"{self.article.slug} {self.act}"


class ScheduledPublication(models.Model):
    """An exact revision that goes on the site later, once."""

    class State(models.TextChoices):
        WAITING = "waiting"
        PUBLISHED = "published"
        REFUSED = "refused"
        CANCELLED = "cancelled"

    article = models.ForeignKey(Article, models.CASCADE, related_name="schedule")
    revision = models.ForeignKey(Revision, models.PROTECT, related_name="+")
    planned_for = models.DateTimeField(
        null=True, blank=True, help_text="Empty: as soon as it is signed."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.TextField(blank=True, default="")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["article"],
                condition=Q(state="waiting"),
                name="articles_scheduledpublication_one_waiting",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting") ^ Q(closed_at__isnull=False),
                name="articles_scheduledpublication_closed_with_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["refused", "cancelled"]) | ~Q(reason=""),
                name="articles_scheduledpublication_says_why_not",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.revision}: {self.state}"


class Picture(Attested):
    """Immutable bytes named by their digest; alt text lives in the revision.

    What is uploaded becomes one picture to fall back on and its `renditions`.
    """

    KIND = "articles.picture"
    FACTS = (
        *("digest", "media_type", "width", "height"),
        *("rendition_of_id", "uploaded_by_id", "uploaded_at"),
    )
    REDACTED: ClassVar[dict[str, object]] = {"content": b""}

    class Type(models.TextChoices):
        SVG = "image/svg+xml"
        AVIF = "image/avif"
        WEBP = "image/webp"
        JPEG = "image/jpeg"

    digest = models.CharField(max_length=64)
    media_type = models.CharField(max_length=20, choices=Type)
    content = models.BinaryField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    rendition_of = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="renditions"
    )
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    uploaded_at = models.DateTimeField(default=timezone.now)

    class Meta(Attested.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="articles_picture_digest_is_hexadecimal",
            ),
            # The same bytes can be a picture by themselves and a size of others.
            models.UniqueConstraint(
                fields=["digest", "rendition_of"],
                nulls_distinct=False,
                name="articles_picture_once_in_each_place",
            ),
        ]

    def __str__(self) -> str:
        return self.digest[:12]

    ENDINGS: ClassVar[dict[str, str]] = {
        Type.SVG: "svg",
        Type.AVIF: "avif",
        Type.WEBP: "webp",
        Type.JPEG: "jpg",
    }

    def get_absolute_url(self) -> str:
        ending = self.ENDINGS[self.media_type]
        return reverse("articles:picture", args=[self.digest, ending])

    def text_digest(self) -> str:
        return sha256(self.content).hexdigest()

    @classmethod
    def shown_along(cls, digest: str, *, using: str) -> list[str]:
        """Its renditions: readers' browsers get those."""
        shown = cls.objects.using(using).filter(rendition_of__digest=digest)
        return list(shown.values_list("digest", flat=True))
