"""What staff can do with one subscriber, each as a page of the admin."""

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from mail import NotAnAddress
from newsletter import accessing, permissions
from newsletter.accessing import AsItWas, Gone, NotTheirAddress, Why
from newsletter.models import Subscriber, SubscriberAccess
from review import DeskAdmin, Verb, admin_url

Data = dict[str, Any]
UNREADABLE = "A row of evidence can’t be read. Run manage.py verifyledger."


class WhyForm(forms.Form):
    purpose = forms.ChoiceField(
        label="What for", choices=[("", "Choose"), *SubscriberAccess.Purpose.choices]
    )
    reference = forms.CharField(
        required=False,
        max_length=40,
        label="Case number",
        help_text="If there is one. No names and no addresses: what you write here "
        "stays for good, with your name and the time.",
        widget=forms.TextInput({"class": "vTextField", "autocomplete": "off"}),
    )

    def clean_reference(self) -> str:
        reference = str(self.cleaned_data["reference"])
        if "@" in reference:
            raise ValidationError("No addresses here, please: this stays for good.")
        return reference


class AddressForm(WhyForm):
    address = forms.CharField(
        max_length=320,
        label="Their whole address",
        widget=forms.TextInput(
            {
                "class": "vTextField",
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "inputmode": "email",
            }
        ),
    )
    field_order = ["address", "purpose", "reference"]


class ProofForm(WhyForm):
    form = forms.ChoiceField(
        label="As",
        choices=[
            ("page", "a page here"),
            ("html", "a page to keep or send"),
            ("json", "JSON, for machines"),
        ],
    )


def why(data: Data) -> Why:
    return Why(SubscriberAccess.Purpose(data["purpose"]), data["reference"])


def person(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the admin lets nobody else in"  # noqa: S101
    return request.user


class SubscriberVerb(Verb):
    form = WhyForm
    refusals: ClassVar[tuple[type[Exception], ...]] = (AsItWas,)
    right: ClassVar[str]

    def allowed(self, user: User, obj: Subscriber) -> bool:
        return user.has_perm(self.right)


def is_blocked(subscriber: Subscriber) -> bool:
    return subscriber.recipient.is_blocked()


class Block(SubscriberVerb):
    name = "block"
    label = "Block"
    explanation = (
        "Nothing is sent to this person any more, and what waits is dropped. Signing "
        "up again does not undo it. They stay on the list as they are."
    )
    is_grave = True
    right = permissions.BLOCK

    def possible(self, obj: Subscriber) -> bool:
        return not is_blocked(obj)

    def do(self, request: HttpRequest, obj: Subscriber, data: Data) -> str:
        accessing.block(obj, by=person(request), why=why(data))
        return "Blocked. Nothing is sent to this person any more."


class LiftBlock(SubscriberVerb):
    name = "lift-block"
    label = "Lift the block"
    explanation = (
        "What the person chose counts again: who is on the list gets the next tip."
    )
    right = permissions.LIFT_BLOCK

    def possible(self, obj: Subscriber) -> bool:
        return is_blocked(obj)

    def do(self, request: HttpRequest, obj: Subscriber, data: Data) -> str:
        accessing.lift_block(obj, by=person(request), why=why(data))
        return "The block is lifted."


class Answering(SubscriberVerb):
    """A verb whose answer is what was asked for, and not a sentence."""

    right = permissions.PROVE

    def respond(
        self, request: HttpRequest, obj: Subscriber, desk: DeskAdmin
    ) -> HttpResponse:
        form = self.form_for(request, obj)
        if request.method == "POST" and form.is_valid():
            try:
                return self.answer(request, obj, desk, form.cleaned_data)
            except DataError:
                messages.error(request, UNREADABLE)
                return HttpResponseRedirect(admin_url(obj))
        return super().respond(request, obj, desk)

    def answer(
        self, request: HttpRequest, obj: Subscriber, desk: DeskAdmin, data: Data
    ) -> HttpResponse:
        raise NotImplementedError


class Prove(Answering):
    name = "prove"
    label = "Prove consent"
    explanation = (
        "Shows the words this person saw, the Terms they agreed to, every event, and "
        "what a stranger needs to check that nobody changed them since. The page and "
        "the network they agreed from are in it, as far as they are still kept."
    )
    form = ProofForm

    def answer(
        self, request: HttpRequest, obj: Subscriber, desk: DeskAdmin, data: Data
    ) -> HttpResponse:
        proof = accessing.prove(obj, by=person(request), why=why(data))
        if data["form"] == "json":
            return kept(_json(proof.told), "proof.json", "application/json")
        if data["form"] == "html":
            return kept(proof.as_page(), "proof.html", "text/html")
        context = {
            **desk.admin_site.each_context(request),
            "title": f"{self.label}: {self.named(obj)}",
            "verb": self,
            "object": obj,
            "opts": desk.opts,
            "back_url": admin_url(obj),
            "proof": proof.told,
        }
        return TemplateResponse(
            request, "admin/newsletter/subscriber/proof.html", context
        )


class Export(Answering):
    name = "export"
    label = "Export their data"
    explanation = (
        "All that the site knows of this person, as they could download it themselves: "
        "topics too, which say something of their health. Give it to nobody else."
    )

    def answer(
        self, request: HttpRequest, obj: Subscriber, desk: DeskAdmin, data: Data
    ) -> HttpResponse:
        told = accessing.export(obj, by=person(request), why=why(data))
        return kept(_json(told), "data.json", "application/json")


def kept(text: str, name: str, media_type: str) -> HttpResponse:
    """An answer that a browser keeps as a file; its name names nobody."""
    response = HttpResponse(text, content_type=f"{media_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _json(told: Any) -> str:
    return json.dumps(told, ensure_ascii=False, indent=2, cls=DjangoJSONEncoder)


class Erase(SubscriberVerb):
    name = "erase"
    label = "Erase"
    explanation = (
        "Address, choices and where they agreed are erased from every table, and "
        "nobody can bring them back. The ledger keeps that somebody agreed and was "
        "erased, under a random key. Type the address to show whom you mean."
    )
    is_grave = True
    right = permissions.PROVE
    form = AddressForm
    refusals = (Gone, NotAnAddress, NotTheirAddress)

    def do(self, request: HttpRequest, obj: Subscriber, data: Data) -> str:
        accessing.erase(obj, typed=data["address"], by=person(request), why=why(data))
        return "Erased. Backups run out on their own date."

    def next_url(self, obj: Subscriber) -> str:
        return reverse("admin:newsletter_subscriber_changelist")
