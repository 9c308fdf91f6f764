from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from mail import desk
from mail.batches import account
from mail.manifest import manifest_digest
from mail.models import Batch, Delivery
from mail.objections import MayNotGoOn

Chosen = QuerySet[Delivery]
# A filter that names every batch of ten years helps nobody.
NEWEST = 12
MANIFEST = "manifest"


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """The engine writes these rows; people read them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Batch)
class BatchAdmin(ReadOnly):
    change_form_template = "admin/mail/batch/change_form.html"
    list_display = ["name", "state", "eligible", "created_at", "finished_at"]
    list_filter = ["state"]
    ordering = ["-pk"]
    fields = readonly_fields = (
        *("name", "state", "pause_reason", "created_at", "finished_at", "corrects"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        return super().get_queryset(request).defer("message")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        batch = self.get_object(request, object_id)
        extra = account(batch) if batch else {}
        # All rows of the batch are sorted for it: seconds, with a million.
        if batch and batch.manifest_sha256:
            extra["manifest_digest"] = batch.manifest_sha256
        elif batch and MANIFEST in request.GET:
            extra["manifest_digest"] = manifest_digest(batch)
        return super().change_view(
            request, object_id, form_url, {**extra, **(extra_context or {})}
        )


class BatchFilter(admin.SimpleListFilter):
    title = "batch"
    parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        newest = Batch.objects.order_by("-pk").values_list("pk", "name")[:NEWEST]
        return [(str(pk), f"{pk}: {name}") for pk, name in newest]

    def queryset(self, request: HttpRequest, queryset: Chosen) -> Chosen:
        chosen = str(self.value() or "")
        if not chosen:
            return queryset
        number = int(chosen) if chosen.isdecimal() and len(chosen) < 19 else 0
        return queryset.filter(batch=number)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = [
        *("id", "state", "reason", "kind", "batch", "due_at", "attempts", "resends"),
        *("bounce", "bounce_status", "bounced_at"),
    ]
    list_filter = ["state", "kind", "bounce", BatchFilter]
    list_select_related = ["batch"]
    show_full_result_count = False
    exclude = ["message"]
    raw_id_fields = ["recipient", "batch"]
    actions = [decision.name for decision in desk.DECISIONS]

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mail.settle_delivery")

    @admin.action(description="Settle as arrived …", permissions=["settle"])
    def settle_as_arrived(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        return _lead_to(desk.ARRIVED, request, chosen)

    @admin.action(description="Settle as not arrived …", permissions=["settle"])
    def settle_as_not_arrived(
        self, request: HttpRequest, chosen: Chosen
    ) -> HttpResponse:
        return _lead_to(desk.NOT_ARRIVED, request, chosen)

    @admin.action(description="Resend …", permissions=["settle"])
    def resend(self, request: HttpRequest, chosen: Chosen) -> HttpResponse:
        return _lead_to(desk.RESEND, request, chosen)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide)
        pages = [
            path(
                f"{decision.page}/",
                view,
                {"decision": decision},
                name=f"mail_delivery_{decision.page}",
            )
            for decision in desk.DECISIONS
        ]
        return [*pages, *super().get_urls()]

    def decide(self, request: HttpRequest, decision: desk.Settling) -> HttpResponse:
        """GET says whom it is about and what it means, POST does it."""
        may_look = self.has_view_permission(request)
        if not may_look or not self.has_settle_permission(request):
            raise PermissionDenied
        back_url = reverse("admin:mail_delivery_changelist")
        try:
            # The address has the list's own filters.
            chosen = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(back_url)
        about = desk.summary(chosen, decision)
        data = request.POST if request.method == "POST" else None
        form = desk.NumberForm(data, expected=about["number"])
        if about["number"] and form.is_valid():
            try:
                done = decision.do(chosen, by=request.user)
            except MayNotGoOn as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(request, f"{done:,} {decision.done}.")
                return HttpResponseRedirect(f"{back_url}?{request.GET.urlencode()}")
        context = {
            **self.admin_site.each_context(request),
            **about,
            "title": decision.label,
            "decision": decision,
            "opts": self.opts,
            "form": form,
            "back_url": back_url,
        }
        return TemplateResponse(request, "admin/mail/delivery/decide.html", context)


def _lead_to(
    decision: desk.Settling, request: HttpRequest, chosen: Chosen
) -> HttpResponse:
    """The page that asks about the rows that were ticked, or all that the list has."""
    if request.POST.get("select_across") == "1":
        query = request.GET.urlencode()
    else:
        query = urlencode({"id__in": ",".join(str(one.pk) for one in chosen)})
    return HttpResponseRedirect(f"{decision.url()}?{query}")
