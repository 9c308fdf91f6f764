"""What a person decides about uncertain deliveries, and what is asked before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Count, QuerySet
from django.urls import reverse

from mail import uncertain
from mail.models import Delivery
from mail.objections import objections

Deliveries = QuerySet[Delivery]


@dataclass(frozen=True)
class Settling:
    """A decision with its page: `name` is the action's, `page` the page's."""

    name: str
    page: str
    label: str
    meaning: str
    done: str
    do: Callable[..., int]
    # Which of the chosen ones it can be done to.
    fit: Callable[[Deliveries], Deliveries]
    is_grave: bool = False
    # Something leaves, so a batch's text may have to stay.
    sends: bool = False

    def url(self) -> str:
        return reverse(f"admin:mail_delivery_{self.page}")


def _uncertain(chosen: Deliveries) -> Deliveries:
    return Delivery.objects.uncertain().filter(pk__in=chosen.values("pk"))


def _resendable(chosen: Deliveries) -> Deliveries:
    return Delivery.objects.resendable().filter(pk__in=chosen.values("pk"))


ARRIVED = Settling(
    name="settle_as_arrived",
    page="settling-as-arrived",
    label="Settle as arrived",
    meaning="You know that they arrived, for example from the mail server’s log. They "
    "count as accepted from now on, and a correction that is sent later reaches these "
    "people. Nothing is sent now.",
    done="settled as arrived",
    do=uncertain.settle_as_arrived,
    fit=_uncertain,
)
NOT_ARRIVED = Settling(
    name="settle_as_not_arrived",
    page="settling-as-not-arrived",
    label="Settle as not arrived",
    meaning="You know that they did not arrive, and these people shall do without. "
    "They count as refused from now on. Nothing is sent.",
    done="settled as not arrived",
    do=uncertain.settle_as_not_arrived,
    fit=_uncertain,
)
RESEND = Settling(
    name="resend",
    page="resending",
    label="Resend",
    meaning="They are sent again, under the same Message-ID. Whoever got the first one "
    "may get it twice: many mail programs hide the second, not all do. Whether these "
    "people may still be mailed is asked again. Each resend is counted.",
    done="queued again",
    do=uncertain.resend,
    fit=_resendable,
    is_grave=True,
    sends=True,
)
DECISIONS = (ARRIVED, NOT_ARRIVED, RESEND)


class NumberForm(forms.Form):
    """Asks for the number of messages, so that nobody decides about more than meant."""

    number = forms.IntegerField(
        label="Type the number of messages",
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, expected: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._expected = expected

    def clean_number(self) -> int:
        number = int(self.cleaned_data["number"])
        if number != self._expected:
            raise forms.ValidationError(
                f"It is {self._expected:,} now. Look at the list above again."
            )
        return number


def summary(chosen: Deliveries, decision: Settling) -> dict[str, Any]:
    """Whom it is about: messages and people, by batch, and who is left out."""
    fit = decision.fit(chosen)
    by_batch = (
        fit.values("batch", "batch__name", "kind")
        .annotate(number=Count("pk"))
        .order_by("batch", "kind")
    )
    batch_ids = [one["batch"] for one in by_batch if one["batch"]]
    unfit = objections(batch_ids) if decision.sends else {}
    number = fit.count()
    doubtful = _uncertain(chosen).count()
    return {
        "number": number,
        "people": fit.values("recipient").distinct().count(),
        "by_batch": [
            {**one, "why_not": unfit.get(one["batch"], "")} for one in by_batch
        ],
        "certain": chosen.count() - doubtful,
        "withheld": doubtful - number,
    }
