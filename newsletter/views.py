"""GET shows a button, POST acts: mail scanners open every link (RFC 8058)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from newsletter import scheduling, subscribing, wording
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
    try:
        subscribing.take_sign_up(
            form.cleaned_data["email"],
            page=request.headers.get("Referer", ""),
            network=truncated(request.META.get("REMOTE_ADDR", "")),
        )
    except subscribing.SignUpClosed:
        return render(request, "newsletter/subscribe.html", _box(form), status=503)
    return render(request, "newsletter/check_inbox.html")


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
