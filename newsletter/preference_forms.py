"""The forms of the pages where subscribers rule; what was typed stays in them."""

from datetime import date, datetime
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from django import forms
from django.utils import timezone

from newsletter.clocks import day_begins
from newsletter.forms import AddressForm
from newsletter.models import LeavingReason, Subscriber
from newsletter.preferences import LONGEST_PAUSE, TOPICS, Wishes, time_zones

Frequency, Reason = Subscriber.Frequency, LeavingReason.Reason
UTC = ("UTC", "Universal time (UTC), if no place fits")


def helper(action: str, button: str) -> FormHelper:
    """A form that posts to `action` without a cookie and shows our own sentences."""
    made = FormHelper()
    made.form_action = action
    made.disable_csrf = True
    made.attrs = {"novalidate": ""}
    made.add_input(Submit("", button))
    return made


class OwnAddressForm(AddressForm):
    """An address that a link is to be mailed to."""

    def __init__(
        self, data: Any = None, *, action: str, button: str, label: str = ""
    ) -> None:
        super().__init__(data)
        self.helper = helper(action, button)
        if label:
            self.fields["email"].label = label


class WishesForm(forms.Form):
    """What a subscriber may choose; `wishes` is what they chose."""

    topics = forms.MultipleChoiceField(
        label="What tips are about",
        required=False,
        choices=list(TOPICS.items()),
        widget=forms.CheckboxSelectMultiple,
        help_text="Tick none, and you get tips about all of them.",
        error_messages={"invalid_choice": "Choose from the topics that are listed."},
    )
    frequency = forms.ChoiceField(
        label="How often",
        choices=[
            (Frequency.WEEKLY, "Every week"),
            (Frequency.MONTHLY, "Once a month: the first tip of each month"),
        ],
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose how often we may write.",
            "invalid_choice": "Choose one of the two that are listed.",
        },
    )
    time_zone = forms.ChoiceField(
        label="Your time zone",
        help_text="So that tips come at a good hour where you are.",
        error_messages={
            "required": "Choose the place whose clock is yours.",
            "invalid_choice": "Choose a place from the list.",
        },
    )
    paused_until = forms.DateField(
        label="Pause until",
        required=False,
        input_formats=["%Y-%m-%d", "%d/%m/%Y"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="No tips before that day. Leave it empty, and they keep coming.",
        error_messages={"invalid": "Enter a day like 2026-12-24, or leave it empty."},
    )

    def __init__(
        self, data: Any = None, *, subscriber: Subscriber, action: str
    ) -> None:
        self.subscriber = subscriber
        self.shown_day = _day_of_pause(subscriber)
        super().__init__(data, initial=self._as_it_is())
        self.fields["time_zone"].choices = by_continent(  # type: ignore[attr-defined]
            {*time_zones(), subscriber.time_zone}
        )
        self.helper = helper(action, "Save")

    def _as_it_is(self) -> dict[str, object]:
        return {
            "topics": self.subscriber.topics,
            "frequency": self.subscriber.frequency,
            "time_zone": self.subscriber.time_zone,
            "paused_until": self.shown_day,
        }

    def clean(self) -> None:
        day, zone = (
            self.cleaned_data.get(name) for name in ("paused_until", "time_zone")
        )
        self.until = self._until(day, zone) if day and zone else None
        now = timezone.now()
        if self.until and self.until <= now:
            self.add_error("paused_until", "Choose a day after today.")
        elif self.until and self.until > now + LONGEST_PAUSE:
            last = f"{now + LONGEST_PAUSE:%-d %B %Y}"
            self.add_error(
                "paused_until", f"A pause lasts a year at most: choose a day to {last}."
            )

    def _until(self, day: date, zone: str) -> datetime | None:
        """The instant a pause ends; left as it was, to the second."""
        if (day, zone) == (self.shown_day, self.subscriber.time_zone):
            return self.subscriber.paused_until
        return day_begins(day, zone)

    def wishes(self) -> Wishes:
        return Wishes(
            topics=tuple(self.cleaned_data["topics"]),
            frequency=Frequency(self.cleaned_data["frequency"]),
            time_zone=self.cleaned_data["time_zone"],
            paused_until=self.until,
        )


def _day_of_pause(subscriber: Subscriber) -> date | None:
    """The day a pause ends where the person lives; None without one, or after it."""
    ends = subscriber.pause_ends() if subscriber.is_paused() else None
    return ends.date() if ends else None


def by_continent(zones: set[str]) -> list[Any]:
    """Choices of a select, grouped; a place reads as people write it."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for zone in sorted(zones - {UTC[0]}):
        area, _, place = zone.partition("/")
        words = (place or area).replace("/", ": ").replace("_", " ")
        groups.setdefault(area, []).append((zone, words))
    return [UTC, *groups.items()]


class ReasonForm(forms.Form):
    """Why somebody left: one press, no words of their own."""

    REASONS = (
        (Reason.TOO_OFTEN, "Tips came too often"),
        (Reason.NOT_FOR_ME, "They were not for me"),
        (Reason.BETTER_NOW, "I am better now"),
        (Reason.NEVER_ASKED, "I never asked for them"),
        (Reason.OTHER, "Another reason"),
    )
    reason = forms.ChoiceField(choices=REASONS)
