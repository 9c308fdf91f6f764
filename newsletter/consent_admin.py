"""Subscribers one at a time, and the evidence of what they agreed to."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from articles import catalogue
from ledger import ReadOnlyAdmin, position_of
from mail import Delivery, NotAnAddress
from newsletter import accessing, subscriber_desk, wording
from newsletter.growth import growth, reasons_for_leaving
from newsletter.models import (
    ConsentEvent,
    LeavingReason,
    Subscriber,
    SubscriberAccess,
    Wording,
)
from newsletter.permissions import PROVE
from newsletter.proving import Unknown, chain_faults, prove_consent
from newsletter.subscriber_desk import AddressForm, person, why
from newsletter.versions import Agreed, agreed_to
from review import Period, ReadOnlyDesk, admin_url, draw, posted, starts_of

# How many of a person's newest mails their page shows.
MAILS_SHOWN = 30


@admin.register(Subscriber)
class SubscriberAdmin(ReadOnlyDesk):
    """No list: who types somebody's whole address, and says why, sees that person."""

    verbs = (
        subscriber_desk.Prove(),
        subscriber_desk.Export(),
        subscriber_desk.Block(),
        subscriber_desk.LiftBlock(),
        subscriber_desk.Erase(),
    )
    change_form_template = "admin/newsletter/subscriber/change_form.html"
    # Never their topics: they are about health, and nobody here needs them.
    fields = readonly_fields = (
        *("address", "status", "mail", "frequency", "paused_until"),
        *("signed_up", "confirmed", "unsubscribed"),
    )
    list_select_related = ["recipient"]

    @admin.display
    def address(self, subscriber: Subscriber) -> str:
        return subscriber.recipient.address

    @admin.display
    def mail(self, subscriber: Subscriber) -> str:
        recipient = subscriber.recipient
        if recipient.suppressed_at:
            on = f"{recipient.suppressed_at:%-d %B %Y}"
            return f"nothing is sent: {recipient.suppression} since {on}"
        return "may be sent" if recipient.may_receive else "no tips: no consent"

    @admin.display
    def signed_up(self, subscriber: Subscriber) -> str:
        return _clock(subscriber.created_at)

    @admin.display
    def confirmed(self, subscriber: Subscriber) -> str:
        return _clock(subscriber.confirmed_at)

    @admin.display
    def unsubscribed(self, subscriber: Subscriber) -> str:
        return _clock(subscriber.unsubscribed_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscriber]:
        return super().get_queryset(request).select_related("recipient")

    def get_urls(self) -> list[URLPattern]:
        look = self.admin_site.admin_view(self.look)
        return [
            path("look/", look, name="newsletter_subscriber_look"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return HttpResponseRedirect(request.path)
        return self._ask(request, AddressForm())

    def look(self, request: HttpRequest) -> HttpResponse:
        """The address comes in the body of a POST: addresses stand in no URL."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = AddressForm(posted(request))
        if form.is_valid():
            try:
                found = accessing.look_up(
                    form.cleaned_data["address"],
                    by=person(request),
                    why=why(form.cleaned_data),
                )
            except (NotAnAddress, Unknown) as refusal:
                form.add_error("address", str(refusal))
            else:
                return HttpResponseRedirect(admin_url(found))
        return self._ask(request, form)

    def _ask(self, request: HttpRequest, form: AddressForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Find a subscriber",
            "opts": self.opts,
            "form": form,
            "look_url": reverse("admin:newsletter_subscriber_look"),
        }
        return TemplateResponse(
            request, "admin/newsletter/subscriber/look.html", context
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        found = self.get_object(request, object_id)
        may_look = self.has_view_permission(request, found)
        if found and may_look and not accessing.may_see(person(request), found):
            return self._ask(request, AddressForm())
        return super().change_view(request, object_id, form_url, extra_context)

    def verb_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Who has not typed the address lately is asked for it first."""
        if self.has_view_permission(request):
            found = get_object_or_404(Subscriber, pk=pk)
            if not accessing.may_see(person(request), found):
                return HttpResponseRedirect(admin_url(found))
        return super().verb_view(request, pk, name)

    def facts(self, request: HttpRequest, obj: Subscriber) -> dict[str, Any]:
        if not accessing.may_see(person(request), obj):
            return {}
        sent = Delivery.objects.filter(recipient=obj.recipient).order_by("-pk")
        mails = sent.select_related("batch").defer("message", "batch__message")
        events_url = reverse("admin:newsletter_consentevent_changelist")
        return {
            "proof": _account_of(obj),
            "mails": mails[:MAILS_SHOWN],
            "mails_in_all": sent.count(),
            "events_url": f"{events_url}?subscriber_key__exact={obj.key}"
            if request.user.has_perm(PROVE)
            else "",
        }


def _clock(at: datetime | None) -> str:
    return f"{at:%-d %B %Y, %H:%M} UTC" if at else "never"


def _account_of(subscriber: Subscriber) -> dict[str, Any] | None:
    """None where evidence was altered into what nothing can read."""
    try:
        return prove_consent(subscriber).told
    except DataError:
        return None


@admin.register(SubscriberAccess)
class SubscriberAccessAdmin(ReadOnlyAdmin):
    list_display = ["occurred_at", "by", "act", "purpose", "reference", "whose"]
    list_filter = ["act", "purpose", "by"]
    list_select_related = ["by"]
    fields = readonly_fields = (
        *("occurred_at", "by", "act", "purpose", "reference", "subscriber_key"),
    )

    @admin.display(description="whose key")
    def whose(self, access: SubscriberAccess) -> str:
        return str(access.subscriber_key or "–")


class MonthFilter(admin.SimpleListFilter):
    title = "month"
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        months = reversed(starts_of("month"))
        return [(f"{one:%Y-%m}", f"{one:%B %Y}") for one in months]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() not in dict(self.lookup_choices):
            return queryset
        year, _, month = str(self.value()).partition("-")
        return queryset.filter(occurred_at__year=year, occurred_at__month=month)


class EventList(ChangeList):
    """Each event with its place in the chain, asked once for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        events: list[Any] = list(self.result_list)
        places = position_of([one.entry_id for one in events])
        for one in events:
            one.place_found = places.get(one.entry_id)
        self.result_list = events


@admin.register(ConsentEvent)
class ConsentEventAdmin(ReadOnlyAdmin):
    list_display = ["id", "act", "matter", "occurred_at", "place"]
    list_filter = ["act", "matter", MonthFilter]
    ordering = ["-pk"]
    show_full_result_count = False
    fields = readonly_fields = (
        *("act", "matter", "occurred_at", "subscriber_key", "wording", "terms"),
        *("context_commitment", "entry", "place", "verifies"),
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventList

    @admin.display(description="place in the chain")
    def place(self, event: Any) -> str:
        if not hasattr(event, "place_found"):
            event.place_found = position_of([event.entry_id]).get(event.entry_id)
        return str(event.place_found or "waits for its seal")

    @admin.display
    def verifies(self, event: ConsentEvent) -> str:
        faults = chain_faults([event])[event.pk]
        return f"No: {'; '.join(faults)}." if faults else "Yes, words and Terms too."


class WordingList(ChangeList):
    """Each wording with how many agreed to it, asked once for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        counts = agreed_to("wording")
        wordings: list[Any] = list(self.result_list)
        for one in wordings:
            one.agreed = counts.get(one.pk, Agreed())
        self.result_list = wordings


@admin.register(Wording)
class WordingAdmin(ReadOnlyAdmin):
    list_display = [
        *("purpose", "first_shown", "confirmed", "still_on_the_list", "newest"),
        "digest_begins",
    ]
    ordering = ["-pk"]
    change_list_template = "admin/newsletter/wording/change_list.html"
    fields = readonly_fields = ("digest", "locale", "text", "created_at")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WordingList

    @admin.display(description="words")
    def purpose(self, one: Wording) -> str:
        return str(one.text.get("purpose") or one.digest[:12])

    @admin.display(description="digest")
    def digest_begins(self, one: Wording) -> str:
        return one.digest[:12]

    @admin.display(description="first shown", ordering="created_at")
    def first_shown(self, one: Wording) -> str:
        return f"{one.created_at:%-d %B %Y}"

    @admin.display
    def confirmed(self, one: Any) -> str:
        return f"{one.agreed.confirmed:,}"

    @admin.display(description="still on the list")
    def still_on_the_list(self, one: Any) -> str:
        return f"{one.agreed.still_on_the_list:,}"

    @admin.display(description="shown now", boolean=True)
    def newest(self, one: Wording) -> bool:
        return one.digest in wording.shown_now()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {"terms_versions": terms_versions(), **(extra_context or {})}
        return super().changelist_view(request, extra)


def terms_versions() -> list[dict[str, Any]]:
    """Each text of the Terms that somebody agreed to, and the one on the site."""
    counts = agreed_to("terms")
    live = catalogue.live_revision_ids(["terms"])
    texts = catalogue.kept_texts({*counts, *live.values()})
    return [
        {"text": texts[pk], "agreed": counts.get(pk, Agreed())}
        for pk in sorted(texts, reverse=True)
    ]


@admin.register(LeavingReason)
class GrowthAdmin(ReadOnlyAdmin):
    """Plots in the place of the list: counts, for everybody who works on the tips."""

    fields = readonly_fields = ("month", "reason", "count")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return HttpResponseRedirect(request.path)
        period: Period = "week" if request.GET.get("by") == "week" else "month"
        steps = growth(period)
        months = starts_of("month")
        reasons = reasons_for_leaving(months)
        most = max(max(one.counts) for one in reasons)
        month_names = [f"{one:%b %y}" for one in months]
        context = {
            **self.admin_site.each_context(request),
            "title": "Growth, and why people leave",
            "opts": self.opts,
            "period": period,
            "steps": steps[::-1],
            "now": steps[-1].on_the_list,
            "chart": draw(
                [f"{one.starts_on:%b %y}" for one in steps],
                [one.confirmed for one in steps],
                [one.left for one in steps],
                net=[one.net for one in steps],
                height=260,
            ),
            "reasons": [
                {
                    "name": one.reason,
                    "total": one.total,
                    "chart": draw(
                        month_names, one.counts, width=320, height=120, most=most
                    ),
                }
                for one in reasons
            ],
            "reason_rows": [
                {"month": month, "counts": [one.counts[number] for one in reasons]}
                for number, month in reversed(list(enumerate(months)))
            ],
        }
        return TemplateResponse(
            request, "admin/newsletter/leavingreason/growth.html", context
        )
