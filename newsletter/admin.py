from django.contrib import admin

from ledger import ReadOnlyAdmin
from newsletter.models import (
    ConsentEvent,
    HealthTip,
    Issue,
    Schedule,
    Subscriber,
    TipRevision,
    Wording,
)


@admin.register(HealthTip)
class HealthTipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["slug", "position"]


@admin.register(TipRevision)
class TipRevisionAdmin(ReadOnlyAdmin):
    list_display = ["tip", "number", "created_at", "digest"]
    list_select_related = ["tip"]


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
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
