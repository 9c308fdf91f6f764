from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from ledger import ReadOnlyAdmin, is_redacted
from newsletter import desk
from newsletter.models import (
    ConsentEvent,
    HealthTip,
    Issue,
    Schedule,
    Subscriber,
    TipRevision,
    Wording,
)
from review import (
    DeskAdmin,
    ReadOnlyDesk,
    StandingFilter,
    State,
    admin_url,
    compare,
    standing,
)


@admin.register(HealthTip)
class HealthTipAdmin(DeskAdmin):
    verbs = (desk.Revise(),)
    list_display = ["slug", "position", "newest", "review"]
    list_filter = [StandingFilter]
    change_form_template = "admin/newsletter/healthtip/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[HealthTip]:
        return HealthTip.objects.with_newest()

    @admin.display(description="newest text")
    def newest(self, tip: Any) -> str:
        return tip.newest_subject or "(nothing written yet)"

    @admin.display(description="review of the newest text", ordering="standing")
    def review(self, tip: Any) -> str:
        return str(State(tip.standing).label)

    def facts(self, request: HttpRequest, obj: HealthTip) -> dict[str, Any]:
        return {
            "revisions": [
                {"row": one, "url": admin_url(one), "standing": standing_of(one)}
                for one in obj.revisions.order_by("-number")
            ]
        }


def standing_of(revision: TipRevision) -> str:
    return str(standing(revision.tip.subject, revision.text_digest()).state.label)


@admin.register(TipRevision)
class TipRevisionAdmin(ReadOnlyDesk):
    verbs = (desk.Submit(),)
    change_form_template = "admin/newsletter/tiprevision/change_form.html"
    list_display = ["tip", "number", "created_at", "digest"]
    list_select_related = ["tip"]
    fields = readonly_fields = ("tip", "number", "review", "cites", "digest")

    @admin.display
    def review(self, revision: TipRevision) -> str:
        return standing_of(revision)

    def facts(self, request: HttpRequest, obj: TipRevision) -> dict[str, Any]:
        if is_redacted(obj):
            return {"redacted": True}
        before = obj.tip.revisions.filter(number__lt=obj.number).order_by("number")
        last = before.last()
        shown = last if last and not is_redacted(last) else None
        return {
            "before": shown,
            "difference": compare(shown.content if shown else None, obj.content),
        }


@admin.register(Schedule)
class ScheduleAdmin(DeskAdmin):
    list_display = ["name", "weekday", "time_of_day", "every", "active"]


@admin.register(Issue)
class IssueAdmin(ReadOnlyAdmin):
    list_display = ["tip_revision", "schedule", "slot", "batch"]
    list_select_related = ["tip_revision__tip", "schedule", "batch"]


@admin.register(Subscriber)
class SubscriberAdmin(ReadOnlyAdmin):
    list_display = ["id", "status", "confirmed_at", "frequency"]
    list_filter = ["status"]
    exclude = ["recipient"]


@admin.register(ConsentEvent)
class ConsentEventAdmin(ReadOnlyAdmin):
    list_display = ["id", "act", "matter", "occurred_at"]
    list_filter = ["act", "matter"]


@admin.register(Wording)
class WordingAdmin(ReadOnlyAdmin):
    list_display = ["digest", "locale", "created_at"]
