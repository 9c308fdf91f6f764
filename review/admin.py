from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ledger import is_redacted
from review import desk
from review.diffing import compare
from review.forms import VerdictForm, verdict_given
from review.models import Clinician, ReviewRequest, SignOff
from review.signing import Refused, answer
from review.workbench import ChangesOnly, ReadOnlyDesk, admin_url, posted, read_pk

MOST_TOGETHER = 50


@admin.register(Clinician)
class ClinicianAdmin(ChangesOnly):
    list_display = ["name", "credentials", "credential_expires_at"]
    raw_id_fields = ["user"]
    readonly_fields = ["demonstration"]
    actions = None

    def get_readonly_fields(
        self, request: HttpRequest, obj: Clinician | None = None
    ) -> list[str]:
        """One account for good: with another one they could sign their own texts."""
        return [*self.readonly_fields, *(["user"] if obj else [])]

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Who has signed stays: readers may ask who it was."""
        found = self.get_object(request, object_id)
        if found and found.sign_offs.exists():
            if not self.has_delete_permission(request, found):
                raise PermissionDenied
            messages.error(
                request,
                f"{found.name} has signed texts and stays on record. To end their "
                "rights, let the credential expire and deactivate the account.",
            )
            return HttpResponseRedirect(admin_url(found))
        return super().delete_view(request, object_id, extra_context)


class MineFilter(admin.SimpleListFilter):
    title = "whose"
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "mine")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() != "mine":
            return queryset
        clinician = desk.clinician_of(request.user)
        if queryset.model is SignOff:
            return queryset.filter(clinician=clinician)
        return queryset.filter(Q(assignee=clinician) & Q(assignee__isnull=False))


@admin.register(ReviewRequest)
class ReviewRequestAdmin(ReadOnlyDesk):
    """The queue: texts that wait for a clinician's verdict."""

    verbs = (
        desk.Answer(),
        desk.Decline(),
        desk.HandOn(),
        desk.Assign(),
        desk.CallBack(),
    )
    change_form_template = "admin/review/reviewrequest/change_form.html"
    list_display = ["title", "state", "assignee", "due_on", "newer", "requested_at"]
    list_select_related = ["assignee"]
    list_filter = ["state", MineFilter, "assignee"]
    search_fields = ["title"]
    ordering = ["-state", "due_on", "requested_at"]
    actions = ["sign_together"]
    fields = readonly_fields = (
        *("title", "state", "where", "assignee", "due_on", "note", "declined"),
        *("requested_by", "requested_at", "newer", "digest"),
    )

    @admin.display(description="a newer draft exists")
    def newer(self, request: ReviewRequest) -> str:
        return "yes" if request.newer_text_at else "no"

    @admin.display(description="where it is worked on")
    def where(self, request: ReviewRequest) -> SafeString:
        return format_html('<a href="{}">{}</a>', request.url, request.title)

    def facts(self, request: HttpRequest, obj: ReviewRequest) -> dict[str, Any]:
        if is_redacted(obj):
            return {"redacted": True}
        before, diff = desk.difference(obj)
        return {"before": before, "difference": diff, "sign_off": obj.sign_off}

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        can_sign = request.user.has_perm("review.sign")
        return super().get_actions(request) if can_sign else {}

    @admin.action(description="Read and sign the selected texts together")
    def sign_together(
        self, request: HttpRequest, queryset: QuerySet[ReviewRequest]
    ) -> HttpResponse:
        chosen = "&".join(f"id={pk}" for pk in queryset.values_list("pk", flat=True))
        return HttpResponseRedirect(
            f"{reverse('admin:review_reviewrequest_together')}?{chosen}"
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.together)
        return [
            path("together/", view, name="review_reviewrequest_together"),
            *super().get_urls(),
        ]

    def together(self, request: HttpRequest) -> HttpResponse:
        """Many small changes on one screen: each is read, each is signed by itself."""
        clinician = desk.clinician_of(request.user)
        if clinician is None or not request.user.has_perm("review.sign"):
            raise PermissionDenied
        asked = [read_pk(one) for one in request.GET.getlist("id")]
        ids = [one for one in asked if one is not None]
        waiting = ReviewRequest.objects.for_clinician(clinician).filter(
            pk__in=ids[:MOST_TOGETHER]
        )
        form = VerdictForm(posted(request))
        ticked = request.POST.getlist("sign")[:MOST_TOGETHER]
        signed = 0
        if request.method == "POST" and form.is_valid():
            said = verdict_given(form.cleaned_data)
            signed = self._sign_each(request, clinician, said, ticked)
            if ticked and signed == len(ticked):
                url = reverse("admin:review_reviewrequest_changelist")
                return HttpResponseRedirect(url)
            if not ticked:
                form.add_error(None, "Tick the texts that you have read.")
        texts = [_text_to_sign(one) for one in waiting]
        context = {
            **self.admin_site.each_context(request),
            "title": "Read and sign together",
            "opts": self.opts,
            "texts": texts,
            "ticked": ticked,
            "form": form,
            "left_out": len(ids) - signed - len(texts),
        }
        template = "admin/review/reviewrequest/together.html"
        return TemplateResponse(request, template, context)

    def _sign_each(
        self,
        request: HttpRequest,
        clinician: Clinician,
        said: dict[str, Any],
        ticked: list[str],
    ) -> int:
        """Sign what was ticked, as it was shown; how many were signed.

        A tick is "request id-digest of the text on the screen".
        """
        signed = 0
        for tick in ticked:
            pk, _, shown = tick.partition("-")
            waiting = ReviewRequest.objects.for_clinician(clinician)
            one = waiting.filter(pk=read_pk(pk) or 0).first()
            if one is None:
                messages.error(request, "One text is answered, or a colleague has it.")
                continue
            try:
                given = answer(one, by=clinician, shown=shown, **said)
            except Refused as refusal:
                messages.error(request, f"{one.title}: {refusal}")
            else:
                signed += 1
                messages.success(request, f"{one.title}: {given.verdict}.")
        return signed


def _text_to_sign(request: ReviewRequest) -> dict[str, Any]:
    before, diff = desk.difference(request)
    whole = compare(None, request.content) if before else None
    tick = f"{request.pk}-{request.digest}"
    return {"request": request, "tick": tick, "diff": diff, "whole": whole}


@admin.register(SignOff)
class SignOffAdmin(ReadOnlyDesk):
    verbs = (desk.Retract(),)
    change_form_template = "admin/review/signoff/change_form.html"
    list_display = ["name", "verdict", "signer_name", "signed_at", "valid_until"]
    list_filter = ["verdict", MineFilter]
    search_fields = ["subject", "digest", "signer_name"]
    ordering = ["-pk"]
    fields = readonly_fields = (
        *("name", "verdict", "comment", "conflicts_of_interest", "signed_at"),
        *("valid_until", "signer_name", "signer_credentials"),
        *("credential_expires_at", "demonstration", "subject", "digest"),
    )

    @admin.display(description="text")
    def name(self, sign_off: SignOff) -> str:
        return desk.title_of(sign_off)

    def facts(self, request: HttpRequest, obj: SignOff) -> dict[str, Any]:
        if is_redacted(obj):
            return {"redacted": True}
        return {"difference": compare(None, obj.content)}
