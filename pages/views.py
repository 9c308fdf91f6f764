from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

import ledger
from articles import catalogue
from newsletter import Subscriber

LEAD = "muscle-twitching"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What readers come for, first of all the article on muscle twitching."""
    cards = catalogue.published_cards()
    lead = next((one for one in cards if one.slug == LEAD), None)
    others = [one for one in cards if one is not lead]
    return render(request, "pages/home.html", {"lead": lead, "articles": others})


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
    return render(request, "pages/trust.html", context)
