import time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import http_date
from django.views.decorators.http import require_safe

import ledger
from articles import catalogue
from newsletter import Subscriber

LEAD = "muscle-twitching"
# The mission's other three: what most people come to ask.
ASKED = ["eyelid-twitch", "hemifacial-spasm", "magnesium-deficiency"]
NEWEST = 3
COUNTED_EVERY_SECONDS = 30


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What readers come for, first of all the article on muscle twitching."""
    cards = catalogue.published_cards()
    lead = next((one for one in cards if one.slug == LEAD), None)
    asked = catalogue.cards(ASKED)
    others = [one for one in cards if one not in (lead, *asked)]
    newest_first = sorted(others, key=lambda one: one.changed_on, reverse=True)
    context = {
        "lead": lead,
        "asked": asked,
        "newest": newest_first[:NEWEST],
        "departments": catalogue.departments(),
    }
    return render(request, "pages/home.html", context)


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """The policies, and what else says who we are."""
    return render(request, "pages/about.html", {"policies": catalogue.policy_cards()})


@require_safe
def trust(request: HttpRequest) -> HttpResponse:
    """The ledger's head and numbers that are counted, not claimed."""
    confirmed = Subscriber.objects.filter(status=Subscriber.Status.CONFIRMED).count()
    counts = [
        {"label": "Articles on the site", "value": len(catalogue.published_cards())},
        {"label": "Entries in the ledger", "value": ledger.Entry.objects.count()},
        {"label": "Confirmed subscribers", "value": confirmed},
    ]
    context = {
        "head": ledger.head(),
        "counts": counts,
        "unsigned": catalogue.unsigned_pages(),
        "redactions": ledger.Redaction.objects.all(),
    }
    response = render(request, "pages/trust.html", context)
    # No public version counts entries and subscribers.
    response["Expires"] = http_date(time.time() + COUNTED_EVERY_SECONDS)
    return response
