"""Where texts are written, in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from articles import desk, editing, permissions, pictures, presenting
from articles.content import BadContent, checked
from articles.forms import Writing
from articles.models import Article, Draft, Revision
from articles.refusals import Refused
from ledger import is_redacted
from review import DeskAdmin, admin_url, compare, posted, read_pk, reading

HALF_A_PAGE = (
    "This page arrived without some of its parts, so it was not kept. Copy what you "
    "typed, open the draft again and put it in."
)
GONE = (
    "This draft was saved or discarded in another window, so what you typed since is "
    "not kept."
)


@admin.register(Draft)
class DraftAdmin(DeskAdmin):
    """Where texts are written. What is typed is kept; saving makes a revision."""

    list_display = ["article", "editor", "updated_at"]
    list_select_related = ["article", "editor"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Draft]:
        return permissions.drafts_open_to(desk.person(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Drafts are started on their article's page."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Draft | None = None
    ) -> bool:
        if obj is None:
            return super().has_change_permission(request)
        return permissions.may_change_draft(desk.person(request), obj)

    def has_view_permission(
        self, request: HttpRequest, obj: Draft | None = None
    ) -> bool:
        if obj is None:
            return super().has_view_permission(request)
        return permissions.may_change_draft(desk.person(request), obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        return [
            path("<int:pk>/preview/", view, name="articles_draft_preview"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        known = Draft.objects.select_related("article", "editor", "based_on")
        draft = known.filter(pk=read_pk(object_id) or 0).first()
        if draft is None:
            return self._gone(request)
        if not self.has_change_permission(request, draft):
            raise PermissionDenied
        writing = Writing(draft, posted(request))
        problems: list[str] = []
        extra: dict[str, Any] = {}
        if request.method == "POST":
            if "_discard" in request.POST:
                return self._discarded(request, draft)
            try:
                if answer := self._written(request, draft, writing):
                    return answer
            except editing.NewerRevision as refusal:
                problems = [str(refusal)]
                extra = self._conflict(draft, writing, refusal.newest)
            except editing.ChangedElsewhere as refusal:
                problems = [str(refusal)]
                extra = self._changed(writing, refusal.kept)
            except BadContent as refusal:
                problems = refusal.problems
            except Refused as refusal:
                problems = [str(refusal)]
            if "_autosave" in request.POST:
                said = problems or writing_complaints(writing)
                return JsonResponse({"problems": said}, status=409)
            problems = problems or missing_parts(writing)
        return self._page(request, draft, writing, problems, extra)

    def _gone(self, request: HttpRequest) -> HttpResponse:
        """What arrives for a draft that is gone is shown in the person's own draft.

        Raises Http404 where nothing arrives, and PermissionDenied.
        """
        asked = read_pk(request.POST.get("article", ""))
        article = get_object_or_404(Article, pk=asked)
        by = desk.person(request)
        if not permissions.may_write(by, article):
            raise PermissionDenied
        if "_discard" in request.POST:
            messages.success(request, "The draft is gone already.")
            return HttpResponseRedirect(admin_url(article))
        if "_autosave" in request.POST:
            return JsonResponse({"problems": [GONE]}, status=409)
        draft = editing.start_draft(article, by=by)
        writing = Writing(draft, request.POST)
        if not writing.is_valid():
            problems = [GONE, *missing_parts(writing)]
            return self._page(request, draft, writing, problems, {})
        problems = [
            f"{GONE} It stands below, in your draft of now, and differs from that as "
            "shown. Take over what you want, then keep or save it."
        ]
        extra = self._changed(writing, draft)
        writing.stamp(seen=draft.based_on_id or "")
        return self._page(request, draft, writing, problems, extra)

    def _page(
        self,
        request: HttpRequest,
        draft: Draft,
        writing: Writing,
        problems: list[str],
        extra: dict[str, Any],
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Writing: {draft.article}",
            "opts": self.opts,
            "draft": draft,
            "writing": writing,
            "reading": reading(draft.content),
            "problems": problems,
            "article_url": admin_url(draft.article),
            "draft_url": admin_url(draft),
            "preview_url": reverse("admin:articles_draft_preview", args=[draft.pk]),
            **extra,
        }
        return TemplateResponse(request, "admin/articles/draft/writing.html", context)

    def _written(
        self, request: HttpRequest, draft: Draft, writing: Writing
    ) -> HttpResponse | None:
        """Keep what was typed, then what the pressed button says; None: not valid."""
        if not writing.is_valid():
            return None
        by = desk.person(request)
        shown = writing.form.cleaned_data
        version = shown["version"] or None
        kept = editing.keep(draft, writing.written(), by=by, version=version)
        writing.stamp(version=kept.version)
        if "_autosave" in request.POST:
            at = f"{timezone.now():%H:%M:%S} UTC"
            return JsonResponse({"kept_at": at, "version": kept.version})
        if "_save" in request.POST:
            revision, made = editing.save(draft, by=by, seen=shown["seen"])
            messages.success(
                request,
                f"Revision {revision.number} is made. Submit it for review when ready."
                if made
                else f"Nothing had changed: revision {revision.number} says the same.",
            )
            return HttpResponseRedirect(admin_url(revision))
        if "_preview" in request.POST:
            url = reverse("admin:articles_draft_preview", args=[draft.pk])
            return HttpResponseRedirect(url)
        messages.success(request, "Your draft is kept.")
        return HttpResponseRedirect(admin_url(draft))

    def _conflict(
        self, draft: Draft, writing: Writing, newest: Revision
    ) -> dict[str, Any]:
        """What the other editor's text says and this draft doesn't, side by side.

        Only the page that shows it says that it was seen: a save from any other page
        is refused again.
        """
        if is_redacted(newest):
            writing.stamp(seen=newest.pk)
            return {}
        mine = {**newest.content, **writing.written().content}
        shown = {
            "compared": f"From revision {newest.number} to your text",
            "difference": compare(newest.content, mine),
        }
        writing.stamp(seen=newest.pk)
        return shown

    def _changed(self, writing: Writing, kept: Draft) -> dict[str, Any]:
        """What is kept of the draft and what was typed on this page, side by side."""
        form = {"format": "article/1"}
        shown = {
            "compared": "From what is kept to what you typed here",
            "difference": compare(
                {**form, **kept.content}, {**form, **writing.written().content}
            ),
        }
        writing.stamp(version=kept.version)
        return shown

    def _discarded(self, request: HttpRequest, draft: Draft) -> HttpResponse:
        """Asked once more: a discarded text is gone."""
        if "sure" in request.POST:
            editing.discard(draft)
            messages.success(request, "The draft is discarded.")
            return HttpResponseRedirect(admin_url(draft.article))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Discard the draft of {draft.article}?",
            "opts": self.opts,
            "draft": draft,
            "back_url": admin_url(draft),
        }
        return TemplateResponse(request, "admin/articles/draft/discard.html", context)

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        draft = get_object_or_404(Draft.objects.select_related("article"), pk=pk)
        if not self.has_view_permission(request, draft):
            raise PermissionDenied
        try:
            content = checked(draft.content, renditions=pictures.shown)
        except BadContent as refusal:
            for problem in refusal.problems:
                messages.error(request, problem)
            return HttpResponseRedirect(admin_url(draft))
        unsaved = Revision(
            article=draft.article,
            content=content,
            byline=draft.byline,
            machine_assisted=draft.machine_assisted,
        )
        page = presenting.page(draft.article, unsaved, preview=True)
        return render(request, "articles/article.html", {"page": page})


def missing_parts(writing: Writing) -> list[str]:
    """A browser that was cut off sends half a page."""
    parts = (writing.care_cards, writing.references)
    if any(part.is_bound and part.non_form_errors() for part in parts):
        return [HALF_A_PAGE]
    return []


def writing_complaints(writing: Writing) -> list[str]:
    """What is wrong with the fields, in sentences."""
    forms_ = [writing.form, *writing.care_cards, *writing.references]
    return missing_parts(writing) or [
        f"{one[name].label}: {error}"
        for one in forms_
        for name, errors in one.errors.items()
        for error in errors
    ]
