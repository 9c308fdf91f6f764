from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from ledger import Evidence

HEXADECIMAL = r"^[0-9a-f]{64}$"


class Section(models.Model):
    """One of the site's departments, such as Health Conditions at /conditions/."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    introduction = models.CharField(max_length=300, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "title"]

    def __str__(self) -> str:
        return self.title


class ArticleQuerySet(models.QuerySet["Article"]):
    def published(self, at: datetime | None = None) -> Self:
        """Articles readers may see at `at` (aware; now by default)."""
        now = at or timezone.now()
        return self.filter(live_revision__isnull=False, published_at__lte=now)

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
        ]

    def __str__(self) -> str:
        return self.slug

    def get_absolute_url(self) -> str:
        name = "policy" if self.kind == self.Kind.POLICY else "article"
        return reverse(f"articles:{name}", args=[self.slug])

    def is_published(self, at: datetime | None = None) -> bool:
        """`ArticleQuerySet.published`, asked of one article."""
        now = at or timezone.now()
        return bool(
            self.live_revision_id and self.published_at and self.published_at <= now
        )

    @property
    def subject(self) -> str:
        """How review and ledger call this article."""
        return f"article:{self.pk}"


class Revision(Evidence):
    """One text of an article, never changed; a sign-off covers its digest."""

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
    created_at = models.DateTimeField(db_default=Now())

    class Meta(Evidence.Meta):
        ordering = ["article", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["article", "number"], name="articles_revision_numbered"
            ),
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="articles_revision_digest_is_hexadecimal",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.article.slug} revision {self.number}"


class Draft(models.Model):
    """One editor's unfinished text; saving it for good makes a revision."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="drafts")
    editor = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    based_on = models.ForeignKey(Revision, models.PROTECT, null=True, blank=True)
    content = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["article", "editor"], name="articles_draft_one_each"
            )
        ]

    def __str__(self) -> str:
        return f"draft of {self.article.slug}"


class Picture(Evidence):
    """Immutable bytes named by their digest; alt text lives in the revision."""

    class Type(models.TextChoices):
        SVG = "image/svg+xml"
        AVIF = "image/avif"
        WEBP = "image/webp"
        JPEG = "image/jpeg"

    digest = models.CharField(max_length=64, unique=True)
    media_type = models.CharField(max_length=20, choices=Type)
    content = models.BinaryField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta(Evidence.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(digest__regex=HEXADECIMAL),
                name="articles_picture_digest_is_hexadecimal",
            )
        ]

    def __str__(self) -> str:
        return self.digest[:12]
