"""What can happen to tips, their texts and issues, each as a page of the admin."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse

import mail
from ledger import TakenAway, is_redacted
from mail import Batch, Delivery
from newsletter import composing, correcting, permissions
from newsletter.composing import BadTip
from newsletter.correcting import NotCorrectable
from newsletter.models import Correction, HealthTip, Issue, TipRevision
from review import (
    Clinician,
    NotAllowedToSign,
    Verb,
    admin_url,
    compare,
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
        cites = data.pop("cites")
        content = composing.from_html(**data)
        revision, made = composing.revise(
            obj, content, cites=cites, by=_person(request)
        )
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
        if is_redacted(obj):
            raise NotAllowedToSign("This text was taken away for a lawful reason.")
        ask(obj, by=_person(request), **data)
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


class TooLate(Exception):
    """Somebody was faster, or the batch has ended: nothing was changed."""


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=200,
        widget=forms.TextInput({"class": "vTextField"}),
        help_text="It stays on this page, with your name.",
    )


class BatchVerb(Verb):
    """Something that happens to the batch of an issue or of a correction."""

    template = "admin/newsletter/issue/verb.html"
    refusals: ClassVar[tuple[type[Exception], ...]] = (TooLate,)
    # In which of its states the batch can have it happen.
    states: ClassVar[tuple[str, ...]] = ()

    def allowed(self, user: User, obj: Issue | Correction) -> bool:
        return permissions.may_run_issues(user)

    def possible(self, obj: Issue | Correction) -> bool:
        return obj.batch is not None and obj.batch.state in self.states

    def context(self, request: HttpRequest, obj: Any) -> Data:
        return mail.account(obj.batch) if obj.batch else {}


class Pause(BatchVerb):
    name = "pause"
    label = "Pause"
    explanation = (
        "Nothing more leaves until somebody resumes it; what is just being handed over "
        "finishes. What waits longer than a day is given up."
    )
    form = ReasonForm
    states = (Batch.State.RUNNING,)

    def do(self, request: HttpRequest, obj: Issue | Correction, data: Data) -> str:
        if not mail.pause(_batch_id(obj), reason=data["reason"], by=_person(request)):
            raise TooLate("It does not run, so there is nothing to pause.")
        return "Paused. Nothing more leaves until somebody resumes it."


class Resume(BatchVerb):
    name = "resume"
    label = "Resume"
    explanation = (
        "What waits goes out from now on. Make sure that the reason it was paused for "
        "is gone. A text whose approval was taken back can’t go on."
    )
    states = (Batch.State.PAUSED,)
    refusals = (TooLate, mail.MayNotGoOn)

    def do(self, request: HttpRequest, obj: Issue | Correction, data: Data) -> str:
        if not mail.resume(_batch_id(obj), by=_person(request)):
            raise TooLate("It is not paused, so there is nothing to resume.")
        return "It goes on."


class Cancel(BatchVerb):
    name = "cancel"
    label = "Cancel"
    button = "Cancel this sending"
    way_out = "Go back"
    explanation = (
        "Whoever still waits never gets it, and nobody can undo that. What is just "
        "being handed over finishes. To those who got it you can send a correction."
    )
    is_grave = True
    form = ReasonForm
    states = (Batch.State.RUNNING, Batch.State.PAUSED)

    def context(self, request: HttpRequest, obj: Issue | Correction) -> Data:
        found = super().context(request, obj)
        if found and isinstance(obj, Issue):
            found["tip_afterwards"] = _tip_afterwards(obj, found["counts"])
        return found

    def do(self, request: HttpRequest, obj: Issue | Correction, data: Data) -> str:
        dropped = mail.cancel(
            _batch_id(obj), reason=data["reason"], by=_person(request)
        )
        if dropped is None or obj.batch is None:
            raise TooLate("It has ended already, so there is nothing to cancel.")
        told = f"Cancelled. {dropped:,} messages were dropped and never leave."
        if rest := mail.counts(obj.batch).waiting:
            told += (
                f" {rest:,} more are being dropped, unless they were just being handed "
                "over."
            )
        return told


class CorrectForm(forms.Form):
    """The revision that was shown comes back: that one is sent, or none."""

    shown = forms.IntegerField(widget=forms.HiddenInput)


class Correct(BatchVerb):
    name = "correct"
    label = "Send a correction"
    template = "admin/newsletter/issue/correct.html"
    explanation = (
        "The newest approved text of this tip goes to exactly those who got the issue, "
        "minus those who left since. It says which tip it replaces. Nobody can undo it."
    )
    is_grave = True
    refusals = (NotCorrectable,)
    states = (Batch.State.FINISHED, Batch.State.CANCELLED)

    def form_for(self, request: HttpRequest, obj: Issue) -> forms.Form:
        plan = _plan(obj)
        shown = plan.revision.pk if isinstance(plan, correcting.Plan) else None
        return CorrectForm(posted(request), initial={"shown": shown})

    def context(self, request: HttpRequest, obj: Issue) -> Data:
        plan = _plan(obj)
        if not isinstance(plan, correcting.Plan):
            return {**super().context(request, obj), "why_not": plan}
        sent = obj.tip_revision
        before = None if is_redacted(sent) else sent.content
        return {
            **super().context(request, obj),
            "plan": plan,
            "difference": compare(before, plan.revision.content),
        }

    def do(self, request: HttpRequest, obj: Issue, data: Data) -> str:
        sent = correcting.correct(obj, shown=data["shown"], by=_person(request))
        assert sent.batch is not None, "a correction has its batch"  # noqa: S101
        return f"The correction is on its way to {sent.batch.eligible:,} people."


def _tip_afterwards(issue: Issue, counts: Any) -> str:
    """Whether cancelling brings the issue's tip back to the queue."""
    states = (*Delivery.REACHING, Delivery.State.HANDING_OVER)
    if not counts.of(*states):
        return (
            "Nobody has got it, so its tip returns to the queue and goes out at a "
            "later slot while it is approved."
        )
    if issue.schedule.repeats:
        return "Some may have got it, so its tip counts as sent: its turn comes again."
    return (
        "Some may have got it, so its tip counts as sent and doesn’t return to the "
        "queue."
    )


def _plan(issue: Issue) -> correcting.Plan | str:
    """What a correction would be, or the sentence that says why there is none."""
    try:
        return correcting.plan(issue)
    except NotCorrectable as refusal:
        return str(refusal)


def _batch_id(obj: Issue | Correction) -> int:
    if obj.batch_id is None:
        raise TooLate("Nothing was sent.")
    return int(obj.batch_id)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the admin lets nobody else in"  # noqa: S101
    return request.user
