"""What all pages behind mailed links share: nobody keeps, finds or names them."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from newsletter.preferences import LinkInvalid

View = Callable[..., HttpResponse]
HEADERS = {
    "X-Robots-Tag": "noindex",
    # The address of the page is a secret: not even our other pages are told it.
    # Unlike `no-referrer` this leaves the Origin of a form as it is.
    "Referrer-Policy": "strict-origin",
}

shows_and_acts = require_http_methods(["GET", "HEAD", "POST"])


def mailed_link(view: View) -> View:
    """GET shows, POST acts, and LinkInvalid is a kind page with a way on."""

    @wraps(view)
    def behind(request: HttpRequest, **kwargs: object) -> HttpResponse:
        try:
            response = view(request, **kwargs)
        except LinkInvalid:
            response = render(request, "newsletter/link_invalid.html", status=404)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return csrf_exempt(never_cache(shows_and_acts(behind)))
