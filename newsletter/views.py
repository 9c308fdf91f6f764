"""GET shows a button, POST acts: mail scanners open every link (RFC 8058)."""

from math import ceil

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import resolve
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from newsletter import limits, scheduling, subscribing, wording
from newsletter.forms import SubscribeForm
from newsletter.networks import truncated

shows_and_acts = require_http_methods(["GET", "HEAD", "POST"])


@csrf_exempt
@shows_and_acts
def subscribe(request: HttpRequest) -> HttpResponse:
    """The form, and where every subscribe box posts to."""
    if request.method == "POST":
        return _take_in(request)
    return render(request, "newsletter/subscribe.html", _box(SubscribeForm()))


@never_cache
def _take_in(request: HttpRequest) -> HttpResponse:
    form = SubscribeForm(request.POST)
    if not form.is_valid():
        return render(request, "newsletter/subscribe.html", _box(form), status=422)
    if form.was_filled_by_a_program():
        return render(request, "newsletter/check_inbox.html")
    try:
        subscribing.take_sign_up(
            form.cleaned_data["email"],
            page=_page(request),
            network=network_of(request),
        )
    except subscribing.SignUpClosed:
        return render(request, "newsletter/subscribe.html", _box(form), status=503)
    except limits.TooMany as error:
        return not_now(request, error)
    return render(request, "newsletter/check_inbox.html")


def network_of(request: HttpRequest) -> str:
    return truncated(request.META.get("REMOTE_ADDR", ""))


def _page(request: HttpRequest) -> str:
    """Which of our pages the box was on: no search words, no link's token."""
    came_from = request.headers.get("Referer", "")
    if not came_from.startswith(f"{settings.SITE_URL}/"):
        return ""
    path = came_from.removeprefix(settings.SITE_URL).partition("?")[0]
    try:
        match = resolve(path)
    except Http404:
        return ""
    return "" if "token" in match.kwargs else f"{settings.SITE_URL}{path}"


def not_now(request: HttpRequest, error: limits.TooMany) -> HttpResponse:
    """The same for every address: 429 for one network, 503 while all have to wait."""
    paused = isinstance(error, limits.Paused)
    minutes = ceil(error.retry_after / 60)
    response = render(
        request,
        "newsletter/not_now.html",
        {"paused": paused, "minutes": minutes},
        status=503 if paused else 429,
    )
    response["Retry-After"] = str(error.retry_after)
    return response


def _box(form: SubscribeForm) -> dict[str, object]:
    return {
        "form": form,
        "wording": {"purpose": wording.PURPOSE, "agreement": wording.AGREEMENT},
        "signup_open": subscribing.signup_is_open(),
    }


@csrf_exempt
@never_cache
@shows_and_acts
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    if request.method != "POST":
        if subscribing.to_confirm(token) is None:
            return _invalid(request)
        return render(request, "newsletter/confirm.html", {"form_action": request.path})
    subscriber = subscribing.confirm(token)
    if subscriber is None:
        return _invalid(request)
    first_tip = scheduling.first_tip(subscriber)
    return render(request, "newsletter/confirmed.html", {"first_tip": first_tip})


@csrf_exempt
@never_cache
@shows_and_acts
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """The human page and the RFC 8058 target: no cookie, no login, no redirect."""
    if request.method != "POST":
        if not subscribing.is_unsubscribe_link(token):
            return _invalid(request)
        context = {"form_action": request.path}
        return render(request, "newsletter/unsubscribe.html", context)
    if not subscribing.unsubscribe(token):
        return _invalid(request)
    return render(request, "newsletter/unsubscribed.html")


# Mail providers may post from their own pages; the signed link says who asks.
unsubscribe.answers_any_origin = True  # type: ignore[attr-defined]


def _invalid(request: HttpRequest) -> HttpResponse:
    return render(request, "newsletter/link_invalid.html", status=404)
