from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from articles import desk, editing, permissions, pictures, presenting, writing_desk
from articles.encoding import BadPicture
from articles.forms import IS_ADDRESS, SectionForm, UploadForm, claims_no_review
from articles.models import (
    Article,
    FormerSlug,
    Picture,
    PublishingEvent,
    Revision,
    Section,
)
from articles.refusals import Refused
from ledger import ReadOnlyAdmin, is_redacted
from review import (
    DeskAdmin,
    ReadOnlyDesk,
    StandingFilter,
    State,
    admin_url,
    compare,
    posted,
    reading,
)

__all__ = ["writing_desk"]

FURNITURE = "Section, other names, codes, what to read next"
# Standings of a live text that somebody must act on, the gravest first.
URGENT = (
    *(State.RETRACTED, State.LAPSED, State.OVERDUE, State.UNSIGNED),
    *(State.CHANGES_REQUESTED, State.DUE_SOON),
)
KIND_IS_FIXED = "An article keeps the kind it was made with. Make another article."


@admin.register(Section)
class SectionAdmin(DeskAdmin):
    form = SectionForm
    list_display = ["title", "slug", "position"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Section | None = None
    ) -> list[str]:
        return ["slug"] if obj else []


class ArticleForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Article
        fields = ["slug", "section", "kind", "aliases", "codes", "read_next"]
        widgets = {
            name: forms.Textarea({"class": "vLargeTextField", "rows": 3})
            for name in ("aliases", "codes", "read_next")
        }
        help_texts = {
            "slug": "The address: small letters and hyphens, as in eyelid-twitch.",
            "aliases": "Other names that readers look for, with commas between them.",
            "codes": "As in ICD-10-CM G51.4, with commas between them.",
            "read_next": "Addresses of articles, with commas, in this order.",
        }

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        IS_ADDRESS(slug)
        if FormerSlug.objects.filter(slug=slug).exists():
            raise forms.ValidationError(
                "This address belonged to another article and leads there for ever."
            )
        return slug

    def clean_aliases(self) -> list[str]:
        aliases: list[str] = self.cleaned_data["aliases"]
        for one in aliases:
            claims_no_review(one)
        return aliases

    def clean_read_next(self) -> list[str]:
        slugs: list[str] = self.cleaned_data["read_next"]
        known = set(
            Article.objects.filter(slug__in=slugs).values_list("slug", flat=True)
        )
        if unknown := [one for one in slugs if one not in known]:
            raise forms.ValidationError(
                f"There is no article at {', '.join(unknown)}. Write addresses as in "
                "eyelid-twitch."
            )
        return slugs

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        is_policy = data.get("kind", self.instance.kind) == Article.Kind.POLICY
        if not is_policy and "section" in data and data["section"] is None:
            self.add_error("section", "Choose the section that readers find it in.")
        return data


def _reviewed(**found: Any) -> Q:
    """Articles whose live text clinicians look after."""
    is_policy = Q(kind=Article.Kind.POLICY)
    return Q(live_revision__isnull=False, **found) & ~is_policy


class LiveStandingFilter(StandingFilter):
    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        found = super().queryset(request, queryset)
        return found.filter(_reviewed()) if self.value() else found


@admin.register(Article)
class ArticleAdmin(DeskAdmin):
    """One article: where it stands, and everything that can happen to it."""

    form = ArticleForm
    verbs = (
        desk.Write(),
        desk.Correct(),
        desk.Move(),
        desk.CancelSchedule(),
        desk.Withdraw(),
    )
    change_form_template = "admin/articles/article/change_form.html"
    list_display = ["name", "live_standing", "on_the_site", "section"]
    list_filter = [LiveStandingFilter, "kind", "section"]
    search_fields = ["slug", "aliases"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Article]:
        articles = Article.objects.with_standing().with_newest_title()
        urgent = [When(_reviewed(standing=one), then=n) for n, one in enumerate(URGENT)]
        # Not in `get_ordering`: filters of other lists would ask for it too.
        return (
            articles.select_related("section", "live_revision")
            .annotate(attention=Case(*urgent, default=len(URGENT)))
            .order_by("attention", "slug")
        )

    @admin.display(description="title", ordering="slug")
    def name(self, article: Any) -> str:
        if article.live_revision:
            return str(article.live_revision.title)
        return article.newest_title or "(nothing written yet)"

    @admin.display(description="on the site")
    def on_the_site(self, article: Article) -> str:
        if article.withdrawn_at:
            return "withdrawn"
        if article.live_revision is None:
            return "never published"
        return f"revision {article.live_revision.number}"

    @admin.display(description="review", ordering="standing")
    def live_standing(self, article: Any) -> str:
        if article.live_revision is None or article.kind == Article.Kind.POLICY:
            return "–"
        return str(State(article.standing).label)

    def has_change_permission(
        self, request: HttpRequest, obj: Article | None = None
    ) -> bool:
        if obj is None:
            return super().has_change_permission(request)
        return permissions.may_furnish(desk.person(request), obj)

    def has_view_permission(
        self, request: HttpRequest, obj: Article | None = None
    ) -> bool:
        return super().has_view_permission(request, None)

    def get_fieldsets(self, request: HttpRequest, obj: Article | None = None) -> Any:
        """Where the article stands comes first; what is around the text is folded."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        fields = self.get_fields(request, obj)
        return [(FURNITURE, {"fields": fields, "classes": ["collapse"]})]

    def view_on_site(self, obj: Article) -> str | None:
        return obj.get_absolute_url() if obj.is_published() else None

    def get_readonly_fields(
        self, request: HttpRequest, obj: Article | None = None
    ) -> list[str]:
        """An article's kind is fixed at creation; its address changes by a verb."""
        return ["slug", "kind"] if obj else []

    def formfield_for_choice_field(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Policies are made by who may write them, everything else by editors."""
        if db_field.name == "kind":
            is_operator = request.user.has_perm(permissions.POLICIES)
            is_editor = request.user.has_perm("articles.change_article")
            kwargs["choices"] = [
                (value, label)
                for value, label in Article.Kind.choices
                if (is_operator if value == Article.Kind.POLICY else is_editor)
            ]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        asked = request.POST.get("kind")
        may = obj is not None and self.has_change_permission(request, obj)
        if obj and may and asked and asked != obj.kind:
            messages.error(request, KIND_IS_FIXED)
            return HttpResponseRedirect(admin_url(obj))
        return super().change_view(request, object_id, form_url, extra_context)

    def facts(self, request: HttpRequest, obj: Article) -> dict[str, Any]:
        newest = obj.revisions.select_related("created_by", "article")
        revisions = list(newest.order_by("-number")[:20])
        words = desk.standings_words(revisions)
        return {
            "title": desk.title_of(obj),
            "subtitle": obj.slug,
            "revisions": [
                {
                    "row": one,
                    "url": admin_url(one),
                    "standing": said,
                    "is_live": one.pk == obj.live_revision_id,
                }
                for one, said in zip(revisions, words, strict=True)
            ],
            "drafts": [
                {
                    "row": one,
                    "url": admin_url(one),
                    "may": permissions.may_change_draft(desk.person(request), one),
                }
                for one in obj.drafts.select_related("editor")
            ],
            "waiting": desk.waiting(obj),
            "standing": desk.state_words(obj),
            "history": obj.events.select_related("by", "revision"),
            "public_url": obj.get_absolute_url() if obj.is_published() else "",
        }


@admin.register(Revision)
class RevisionAdmin(ReadOnlyDesk):
    """One text that never changes: its difference, its preview, its verbs."""

    verbs = (
        desk.Submit(),
        desk.Publish(),
        desk.Schedule(),
        desk.BringBack(),
        desk.PublishUnsigned(),
    )
    change_form_template = "admin/articles/revision/change_form.html"
    list_display = ["article", "number", "title", "note", "created_by", "created_at"]
    list_select_related = ["article", "created_by"]
    list_filter = ["article"]
    search_fields = ["article__slug", "digest", "note"]
    fields = readonly_fields = (
        *("article", "number", "standing", "written_by", "byline"),
        *("machine_assisted", "note", "readability", "created_at", "digest"),
    )

    @admin.display(description="length")
    def readability(self, revision: Revision) -> str:
        return "–" if is_redacted(revision) else str(reading(revision.content))

    @admin.display(description="review")
    def standing(self, revision: Revision) -> str:
        return desk.standing_words(revision)

    @admin.display(description="written by")
    def written_by(self, revision: Revision) -> str:
        return desk.user_names(revision.author_ids)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        return [
            path("<int:pk>/preview/", view, name="articles_revision_preview"),
            *super().get_urls(),
        ]

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page as readers would get it, badge or not as its text deserves."""
        revision = get_object_or_404(Revision, pk=pk)
        if not self.has_view_permission(request, revision) or is_redacted(revision):
            raise PermissionDenied
        page = presenting.page(revision.article, revision, preview=True)
        return render(request, "articles/article.html", {"page": page})

    def facts(self, request: HttpRequest, obj: Revision) -> dict[str, Any]:
        article = obj.article
        before = article.revisions.filter(number__lt=obj.number).last()
        shown = before if before and not is_redacted(before) else None
        if is_redacted(obj):
            return {"redacted": True}
        newest = editing.newest_revision(article)
        return {
            "before": shown,
            "difference": compare(shown.content if shown else None, obj.content),
            "preview_url": obj.get_preview_url(),
            "article_url": admin_url(article),
            "is_live": article.live_revision_id == obj.pk,
            "newest": newest if newest and newest.pk != obj.pk else None,
        }


@admin.register(Picture)
class PictureAdmin(DeskAdmin):
    """Pictures are taken in once; their words are written where they are used."""

    list_display = ["thumbnail", "address", "width", "height", "uploaded_by"]
    list_select_related = ["uploaded_by"]
    fields = readonly_fields = (
        *("shown", "address", "media_type", "width", "height", "sizes"),
        *("uploaded_by", "uploaded_at", "digest"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Picture]:
        found: QuerySet[Picture] = super().get_queryset(request)
        return found.filter(rendition_of=None).defer("content")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(posted(request), request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                upload = form.cleaned_data["picture"].read()
                picture = pictures.take_in(upload, by=desk.person(request))
            except (BadPicture, Refused) as refusal:
                form.add_error("picture", str(refusal))
            else:
                messages.success(
                    request,
                    "The picture is taken in. Write its address into a text, with "
                    "words for people who can’t see it.",
                )
                return HttpResponseRedirect(admin_url(picture))
        context = {
            **self.admin_site.each_context(request),
            "title": "Take in a picture",
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "admin/articles/picture/upload.html", context)

    @admin.display(description="picture")
    def thumbnail(self, picture: Picture) -> SafeString:
        return format_html(
            '<img src="{}" alt="" width="96" loading="lazy">',
            picture.get_absolute_url(),
        )

    @admin.display(description="picture")
    def shown(self, picture: Picture) -> SafeString:
        return format_html(
            '<img src="{}" alt="" width="480">', picture.get_absolute_url()
        )

    @admin.display(description="address in a text")
    def address(self, picture: Picture) -> SafeString:
        return format_html("<code>{}</code>", picture.get_absolute_url())

    @admin.display(description="sizes")
    def sizes(self, picture: Picture) -> SafeString:
        others = picture.renditions.defer("content").order_by("media_type", "width")
        return format_html_join(
            "",
            "{} {} × {}<br>",
            ((one.media_type, one.width, one.height) for one in others),
        )


@admin.register(PublishingEvent)
class PublishingEventAdmin(ReadOnlyAdmin):
    list_display = ["article", "act", "text", "by", "occurred_at"]
    list_select_related = ["article", "by"]
    list_filter = ["act"]
