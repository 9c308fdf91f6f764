"""GET shows a button, POST acts: mail scanners open every link (RFC 8058)."""

import time
from collections.abc import Callable
from functools import lru_cache
from math import ceil

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import resolve
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from mail import Paused, TooMany, network_of
from newsletter import leaving, scheduling, subscribing, wording
from newsletter.archive import sent_tips
from newsletter.forms import SubscribeForm
from newsletter.mailed_links import mailed_link, shows_and_acts
from newsletter.models import LeavingReason, Subscriber
from newsletter.preference_forms import ReasonForm
from newsletter.preferences import LinkInvalid

# Without the link's token.
PAGE_OF_THE_YES = "/newsletter/confirm/"


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
        return _check_inbox()
    try:
        subscribing.take_sign_up(
            form.cleaned_data["email"],
            page=_page(request),
            network=network_of(request),
        )
    except subscribing.SignUpClosed:
        return render(request, "newsletter/subscribe.html", _box(form), status=503)
    except TooMany as error:
        return not_now(request, error)
    return _check_inbox()


def _check_inbox() -> HttpResponse:
    """The same bytes for everybody: made once a second, however many sign up."""
    return HttpResponse(_inbox_page(int(time.monotonic())))


@lru_cache(maxsize=1)
def _inbox_page(second: int) -> str:
    return render_to_string("newsletter/check_inbox.html", request=HttpRequest())


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


def not_now(request: HttpRequest, error: TooMany) -> HttpResponse:
    """The same for every address: 429 for one network, 503 while all have to wait."""
    paused = isinstance(error, Paused)
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


@require_safe
def archive(request: HttpRequest) -> HttpResponse:
    """Tips that went out, newest first."""
    return render(request, "newsletter/archive.html", {"tips": sent_tips()})


@require_safe
def archived_tip(request: HttpRequest, slug: str) -> HttpResponse:
    """One of them, as it was last sent."""
    tip = next((one for one in sent_tips() if one.slug == slug), None)
    if tip is None:
        raise Http404
    return render(request, "newsletter/archived_tip.html", {"tip": tip})


@mailed_link
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    if request.method != "POST":
        return _confirm_page(request, token)
    page = f"{settings.SITE_URL}{PAGE_OF_THE_YES}"
    subscriber = subscribing.confirm(token, page=page, network=network_of(request))
    if subscriber is None:
        raise LinkInvalid
    first_tip = scheduling.first_tip(subscriber)
    context = {"first_tip": first_tip, "is_back": subscriber.is_back()}
    return render(request, "newsletter/confirmed.html", context)


def _confirm_page(request: HttpRequest, token: str) -> HttpResponse:
    subscriber = subscribing.to_confirm(token)
    if subscriber is None:
        raise LinkInvalid
    asked = subscribing.came_in_a_file(subscriber)
    words = wording.permission_text() if asked else None
    context = {"form_action": request.path, "words": words}
    return render(request, "newsletter/confirm.html", context)


@mailed_link
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """The human page and the RFC 8058 target: no cookie, no login, no redirect.

    Whatever is posted here, the person leaves: what is milder has its own addresses.
    """
    if request.method != "POST":
        return _leaving_page(request, token)
    if not subscribing.unsubscribe(token):
        raise LinkInvalid
    return _left_page(request, token)


# Mail providers may post from their own pages; the signed link says who asks.
unsubscribe.answers_any_origin = True  # type: ignore[attr-defined]


@mailed_link
def pause(request: HttpRequest, token: str) -> HttpResponse:
    return _instead(request, token, leaving.pause_instead)


@mailed_link
def monthly(request: HttpRequest, token: str) -> HttpResponse:
    return _instead(request, token, leaving.monthly_instead)


def _instead(
    request: HttpRequest, token: str, verb: Callable[[str], Subscriber | None]
) -> HttpResponse:
    subscriber = verb(token) if request.method == "POST" else None
    if subscriber is None:
        return _leaving_page(request, token)
    next_tip = scheduling.first_tip(subscriber)
    context = {"token": token, "subscriber": subscriber, "next_tip": next_tip}
    return render(request, "newsletter/stayed.html", context)


@mailed_link
def why(request: HttpRequest, token: str) -> HttpResponse:
    """One press after leaving; only a month's count is kept."""
    if request.method != "POST":
        return _leaving_page(request, token)
    if not subscribing.is_unsubscribe_link(token):
        raise LinkInvalid
    if leaving.staying(token):
        return _leaving_page(request, token)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _left_page(request, token, status=422)
    leaving.say_why(token, LeavingReason.Reason(form.cleaned_data["reason"]))
    return _left_page(request, token, told_why=True)


def _leaving_page(request: HttpRequest, token: str) -> HttpResponse:
    if not subscribing.is_unsubscribe_link(token):
        raise LinkInvalid
    context = {"token": token, "subscriber": leaving.staying(token)}
    return render(request, "newsletter/unsubscribe.html", context)


def _left_page(
    request: HttpRequest, token: str, *, told_why: bool = False, status: int = 200
) -> HttpResponse:
    if not leaving.has_left(token):
        return render(request, "newsletter/nobody_here.html")
    context = {"token": token, "told_why": told_why, "reasons": ReasonForm.REASONS}
    return render(request, "newsletter/unsubscribed.html", context, status=status)
