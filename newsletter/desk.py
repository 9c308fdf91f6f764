"""What can happen to tips and their texts, each as a page of the admin."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse

from ledger import TakenAway, is_redacted
from newsletter import composing, permissions
from newsletter.composing import BadTip
from newsletter.models import HealthTip, TipRevision
from review import (
    Clinician,
    NotAllowedToSign,
    Verb,
    admin_url,
    note_newer_text,
    posted,
    request,
)

Data = dict[str, Any]
WIDE = {"class": "vLargeTextField"}


class TipForm(forms.Form):
    subject = forms.CharField(
        max_length=120, widget=forms.TextInput({"class": "vTextField"})
    )
    preheader = forms.CharField(
        max_length=150,
        widget=forms.TextInput({"class": "vTextField"}),
        help_text="What a mail program shows beside the subject.",
    )
    html = forms.CharField(
        label="Text",
        strip=False,
        widget=forms.Textarea({**WIDE, "rows": 18}),
        help_text="HTML: paragraphs, lists, strong, em and links. The plain-text part "
        "is made from it.",
    )
    cites = forms.CharField(
        label="Articles it relies on",
        help_text="Their addresses, such as muscle-twitching, with commas. The tip is "
        "held back while one of them is not medically reviewed.",
    )

    def clean_cites(self) -> list[str]:
        return str(self.cleaned_data["cites"]).replace(",", " ").split()


class AskForm(forms.Form):
    assignee = forms.ModelChoiceField(
        Clinician.objects.none(), required=False, empty_label="Any clinician"
    )
    due_on = forms.DateField(
        required=False,
        label="Wanted by",
        widget=forms.DateInput({"type": "date"}),
    )
    note = forms.CharField(
        required=False,
        widget=forms.Textarea({**WIDE, "rows": 4}),
        help_text="What the clinician should know.",
    )

    def __init__(self, *args: Any, authors: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fit = Clinician.objects.able_to_sign().exclude(user__in=authors)
        self.fields["assignee"].queryset = fit  # type: ignore[attr-defined]


def newest(tip: HealthTip) -> TipRevision | None:
    return tip.revisions.order_by("-number").first()


class Revise(Verb):
    name = "revise"
    label = "Revise"
    explanation = (
        "Saving makes a new text of this tip. It is mailed only after a clinician has "
        "approved exactly that text."
    )
    button = "Save as a revision"
    refusals = (BadTip, TakenAway)

    def allowed(self, user: User, obj: HealthTip) -> bool:
        return permissions.may_revise(user)

    def form_for(self, request: HttpRequest, obj: HealthTip) -> forms.Form:
        last = newest(obj)
        if last is None or is_redacted(last):
            return TipForm(posted(request))
        return TipForm(
            posted(request),
            initial={**last.content, "cites": ", ".join(last.cites)},
        )

    def do(self, request: HttpRequest, obj: HealthTip, data: Data) -> str:
        assert isinstance(request.user, User), "the admin lets nobody else in"  # noqa: S101
        cites = data.pop("cites")
        content = composing.from_html(**data)
        revision, made = composing.revise(obj, content, cites=cites, by=request.user)
        if not made:
            return f"Nothing had changed: revision {revision.number} says the same."
        return f"Revision {revision.number} is made. Submit it for review when ready."

    def next_url(self, obj: HealthTip) -> str:
        last = newest(obj)
        return admin_url(last or obj)


class Submit(Verb):
    name = "submit"
    label = "Submit for review"
    explanation = "A clinician is asked for a verdict on exactly this text."
    refusals = (NotAllowedToSign,)

    def allowed(self, user: User, obj: TipRevision) -> bool:
        return permissions.may_submit(user, obj)

    def possible(self, obj: TipRevision) -> bool:
        return not is_redacted(obj)

    def form_for(self, request: HttpRequest, obj: TipRevision) -> forms.Form:
        return AskForm(posted(request), authors=obj.author_ids)

    def do(self, request: HttpRequest, obj: TipRevision, data: Data) -> str:
        assert isinstance(request.user, User), "the admin lets nobody else in"  # noqa: S101
        if is_redacted(obj):
            raise NotAllowedToSign("This text was taken away for a lawful reason.")
        ask(obj, by=request.user, **data)
        return f"Revision {obj.number} waits for a verdict."


def ask(revision: TipRevision, *, by: User, **wishes: Any) -> None:
    """Ask for a verdict on this text. Raises NotAllowedToSign for an unfit assignee."""
    url = reverse("admin:newsletter_tiprevision_change", args=[revision.pk])
    request(
        revision.content,
        subject=revision.tip.subject,
        title=str(revision.content["subject"]),
        url=url,
        authors=revision.author_ids,
        by=by,
        **wishes,
    )
    last = newest(revision.tip)
    if last:
        note_newer_text(revision.tip.subject, last.digest)
