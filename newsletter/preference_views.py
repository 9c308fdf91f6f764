"""The pages where subscribers rule, behind a link mailed to them a moment ago."""

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from articles import catalogue
from mail import TooMany, network_of
from mail import token as token_for
from newsletter import (
    agreements,
    limits,
    moving,
    personal_data,
    preferences,
    scheduling,
)
from newsletter.mailed_links import mailed_link, shows_and_acts
from newsletter.models import Subscriber
from newsletter.preference_forms import OwnAddressForm, WishesForm
from newsletter.subscribing import UNSUBSCRIBE
from newsletter.views import not_now

Page = dict[str, object]
ENOUGH_FOR_TODAY = (
    f"You have entered {limits.NEW_ADDRESSES_A_DAY} new addresses today. "
    "Look in their inboxes, or try again tomorrow."
)


@csrf_exempt
@shows_and_acts
def ask_for_link(request: HttpRequest) -> HttpResponse:
    """For who has no link or lost it; the answer is the same for everybody."""
    if request.method == "POST":
        return _mail_link(request)
    return render(request, "newsletter/preferences_link.html", {"form": _link_form()})


@never_cache
def _mail_link(request: HttpRequest) -> HttpResponse:
    form = _link_form(request.POST)
    if not form.is_valid():
        page = {"form": form}
        return render(request, "newsletter/preferences_link.html", page, status=422)
    try:
        preferences.ask_for_link(
            form.cleaned_data["email"], network=network_of(request)
        )
    except TooMany as error:
        return not_now(request, error)
    return render(request, "newsletter/preferences_link_sent.html")


def _link_form(data: object = None) -> OwnAddressForm:
    action = reverse("newsletter:preferences-link")
    return OwnAddressForm(data, action=action, button="Send me a link")


@mailed_link
def own(request: HttpRequest, token: str) -> HttpResponse:
    """What a subscriber chose, and the way to all else that is theirs."""
    if request.method == "POST":
        return _save(request, token)
    return _own_page(request, token)


def _save(request: HttpRequest, token: str) -> HttpResponse:
    subscriber = preferences.holder(token)
    if not subscriber.is_confirmed():
        # They left meanwhile, perhaps in another window.
        return _own_page(request, token)
    form = _wishes_form(token, subscriber, request.POST)
    if not form.is_valid():
        return _own_page(request, token, form=form)
    preferences.change(token, form.wishes())
    return _own_page(request, token, saved="Saved.")


@mailed_link
def start_again(request: HttpRequest, token: str) -> HttpResponse:
    if request.method == "POST" and preferences.start_again(token):
        return _own_page(request, token, saved="Your pause is over.")
    return _own_page(request, token)


def _own_page(
    request: HttpRequest, token: str, *, form: WishesForm | None = None, saved: str = ""
) -> HttpResponse:
    subscriber = preferences.holder(token)
    context: Page = {
        "subscriber": subscriber,
        "saved": saved,
        "unsubscribe_token": token_for(UNSUBSCRIBE, subscriber.recipient.key),
    }
    if subscriber.is_confirmed():
        context["form"] = form or _wishes_form(token, subscriber)
        context["next_tip"] = scheduling.first_tip(subscriber)
    return _render(request, "preferences", token, context, form=form)


def _wishes_form(token: str, subscriber: Subscriber, data: object = None) -> WishesForm:
    action = reverse("newsletter:preferences", args=[token])
    return WishesForm(data, subscriber=subscriber, action=action)


@mailed_link
def agreed(request: HttpRequest, token: str) -> HttpResponse:
    """The very boxes they saw, and where the proof of each press stands."""
    subscriber = preferences.holder(token)
    told: Page = {
        "agreements": agreements.agreements_of(subscriber),
        "brought": agreements.brought_with(subscriber),
    }
    return _render(request, "agreed", token, told)


@mailed_link
def agreed_terms(request: HttpRequest, token: str, revision: int) -> HttpResponse:
    """The Terms of Use as they were when the holder agreed; no other revision."""
    facts = agreements.facts_of(preferences.holder(token))
    if revision not in {one.event.terms_id for one in facts}:
        raise Http404
    terms = catalogue.kept_texts([revision])[revision]
    return _render(request, "agreed_terms", token, {"terms": terms})


@mailed_link
def change_address(request: HttpRequest, token: str) -> HttpResponse:
    preferences.holder(token)
    form = _address_form(token, request.POST if request.method == "POST" else None)
    if not form.is_bound or not form.is_valid():
        return _render(request, "address", token, {"form": form}, form=form)
    try:
        moving.ask_to_move(
            token, form.cleaned_data["email"], network=network_of(request)
        )
    except moving.SameAddress:
        form.add_error("email", "Your tips go to this address already.")
        return _render(request, "address", token, {"form": form}, form=form)
    except limits.EnoughForToday:
        form.add_error("email", ENOUGH_FOR_TODAY)
        return _render(request, "address", token, {"form": form}, form=form)
    except TooMany as error:
        return not_now(request, error)
    return _render(request, "address_asked", token)


def _address_form(token: str, data: object) -> OwnAddressForm:
    action = reverse("newsletter:change-address", args=[token])
    return OwnAddressForm(
        data, action=action, button="Send a link there", label="Your new email address"
    )


@mailed_link
def download(request: HttpRequest, token: str) -> HttpResponse:
    if request.method != "POST":
        preferences.holder(token)
        return _render(request, "download", token)
    known = personal_data.download(preferences.acting(token))
    response = JsonResponse(known, json_dumps_params={"indent": 2})
    name = "twitchsite-what-we-know-of-you.json"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@mailed_link
def erase(request: HttpRequest, token: str) -> HttpResponse:
    if request.method != "POST":
        preferences.holder(token)
        return _render(request, "erase", token)
    personal_data.erase(token)
    return render(request, "newsletter/erased.html")


@mailed_link
def move(request: HttpRequest, token: str) -> HttpResponse:
    """Behind the link that was mailed to a new address."""
    if request.method != "POST":
        moving.mover(token)
        return _render(request, "move", token)
    subscriber = moving.move(token)
    is_on_the_list = subscriber.is_confirmed()
    next_tip = scheduling.first_tip(subscriber) if is_on_the_list else None
    context = {"is_on_the_list": is_on_the_list, "next_tip": next_tip}
    return render(request, "newsletter/moved.html", context)


def _render(
    request: HttpRequest,
    name: str,
    token: str,
    context: Page | None = None,
    *,
    form: OwnAddressForm | WishesForm | None = None,
) -> HttpResponse:
    status = 422 if form is not None and form.errors else 200
    page = {"token": token, **(context or {})}
    return render(request, f"newsletter/{name}.html", page, status=status)
