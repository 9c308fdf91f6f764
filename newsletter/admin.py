from datetime import datetime
from itertools import islice
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from ledger import is_redacted
from mail import account
from newsletter import choosing, consent_admin, desk
from newsletter.models import (
    Correction,
    HealthTip,
    Issue,
    Schedule,
    TipRevision,
)
from review import (
    DeskAdmin,
    ReadOnlyDesk,
    StandingFilter,
    State,
    admin_url,
    compare,
    reading,
    standing,
)

# Registered there: subscribers and what they agreed to.
__all__ = ["consent_admin"]


class TipList(ChangeList):
    """Each tip with what it waits for, asked once for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tips: list[Any] = list(self.result_list)
        waiting = choosing.what_tips_wait_for(tips)
        for tip in tips:
            tip.waits_for = waiting[tip.pk]
        self.result_list = tips


@admin.register(HealthTip)
class HealthTipAdmin(DeskAdmin):
    verbs = (desk.Revise(),)
    list_display = ["newest", "outlook", "review", "sent", "slug"]
    list_filter = [StandingFilter]
    change_form_template = "admin/newsletter/healthtip/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[HealthTip]:
        return HealthTip.objects.with_newest().with_last_slot()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TipList

    @admin.display(description="tip", ordering="position")
    def newest(self, tip: Any) -> str:
        return tip.newest_subject or "(nothing written yet)"

    @admin.display(description="its review", ordering="standing")
    def review(self, tip: Any) -> str:
        return str(State(tip.standing).label)

    @admin.display(description="may it go out?")
    def outlook(self, tip: Any) -> str:
        return outlook_words(tip.waits_for)

    @admin.display(description="last sent", ordering="last_slot")
    def sent(self, tip: Any) -> str:
        return f"{tip.last_slot:%-d %B %Y}" if tip.last_slot else "never"

    def facts(self, request: HttpRequest, obj: HealthTip) -> dict[str, Any]:
        return {
            "outlook": outlook_words(choosing.what_tips_wait_for([obj])[obj.pk]),
            "revisions": [
                {"row": one, "url": admin_url(one), "standing": standing_of(one)}
                for one in obj.revisions.order_by("-number")
            ],
        }


def outlook_words(waits_for: str) -> str:
    return f"Not yet. {waits_for}" if waits_for else "Yes"


def standing_of(revision: TipRevision) -> str:
    return str(standing(revision.tip.subject, revision.text_digest()).state.label)


@admin.register(TipRevision)
class TipRevisionAdmin(ReadOnlyDesk):
    verbs = (desk.Submit(),)
    change_form_template = "admin/newsletter/tiprevision/change_form.html"
    list_display = ["tip", "number", "created_at", "digest"]
    list_select_related = ["tip"]
    fields = readonly_fields = (
        *("tip", "number", "review", "cites", "readability", "digest"),
    )

    @admin.display
    def review(self, revision: TipRevision) -> str:
        return standing_of(revision)

    @admin.display(description="length")
    def readability(self, revision: TipRevision) -> str:
        return "–" if is_redacted(revision) else str(reading(revision.content))

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


# How many of a schedule's slots its page shows.
SLOTS_SHOWN = 4


@admin.register(Schedule)
class ScheduleAdmin(DeskAdmin):
    list_display = ["name", "next_slot", "repeats", "active"]
    change_form_template = "admin/newsletter/schedule/change_form.html"
    fieldsets = (
        (None, {"fields": ["name", "weekday", "time_of_day"]}),
        (None, {"fields": ["starts_at", "active", "repeats"]}),
        ("For the demonstration", {"fields": ["every"], "classes": ["collapse"]}),
    )

    @admin.display(description="next slot")
    def next_slot(self, schedule: Schedule) -> str:
        slots = slots_of(schedule, timezone.now(), 1)
        return schedule.words_for(slots[0]) if slots else "–"

    def facts(self, request: HttpRequest, obj: Schedule) -> dict[str, Any]:
        now = timezone.now()
        return {
            "slots": [
                {
                    "words": obj.words_for(slot),
                    "prepared_at": None if obj.every else obj.opens_at(slot),
                }
                for slot in slots_of(obj, now, SLOTS_SHOWN)
            ],
            "ready": choosing.sendable(obj, now),
        }


def slots_of(schedule: Schedule, now: datetime, count: int) -> list[datetime]:
    """The next slots to be served; none while the schedule rests."""
    return list(islice(schedule.slots_to_come(now), count)) if schedule.active else []


class SentDesk(ReadOnlyDesk):
    """What was sent to many: how it stands, who did what, and what can be done."""

    change_form_template = "admin/newsletter/issue/change_form.html"
    list_select_related = ["tip_revision__tip", "batch"]

    @admin.display(ordering="batch__state")
    def state(self, obj: Issue | Correction) -> str:
        return obj.batch.state if obj.batch else "nothing was sent"

    @admin.display(description="people", ordering="batch__eligible")
    def people(self, obj: Issue | Correction) -> int:
        return obj.batch.eligible if obj.batch else 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("batch__message")

    def facts(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return account(obj.batch) if obj.batch else {}


@admin.register(Issue)
class IssueAdmin(SentDesk):
    verbs = (desk.Pause(), desk.Resume(), desk.Cancel(), desk.Correct())
    list_display = ["tip_revision", "schedule", "slot", "state", "people"]
    list_filter = ["batch__state", "schedule"]
    list_select_related = [*SentDesk.list_select_related, "schedule"]
    ordering = ["-slot"]
    fields = readonly_fields = (
        *("tip_revision", "schedule", "slot", "starts_at", "sign_off", "digest"),
        "batch",
    )

    def facts(self, request: HttpRequest, obj: Issue) -> dict[str, Any]:
        corrections = obj.corrections.select_related("tip_revision__tip", "batch", "by")
        return {
            **super().facts(request, obj),
            "corrections": [
                {"row": one, "url": admin_url(one)}
                for one in corrections.order_by("pk")
            ],
        }


@admin.register(Correction)
class CorrectionAdmin(SentDesk):
    verbs = (desk.Pause(), desk.Resume(), desk.Cancel())
    list_display = ["tip_revision", "issue", "state", "people", "by"]
    list_select_related = [
        *SentDesk.list_select_related,
        *("issue__tip_revision__tip", "by"),
    ]
    ordering = ["-pk"]
    fields = readonly_fields = (
        *("issue", "tip_revision", "starts_at", "by", "sign_off", "digest", "batch"),
    )
