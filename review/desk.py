"""The clinicians' desk: what can happen to a request and to a signature."""

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest

from ledger import is_redacted
from review import requesting, signing
from review.content import canonical
from review.diffing import Difference, compare
from review.forms import (
    ClinicianForm,
    DeclineForm,
    RetractForm,
    ShownVerdictForm,
    verdict_given,
)
from review.models import Clinician, ReviewRequest, SignOff
from review.standing_of import standing
from review.workbench import Verb, posted

Data = dict[str, Any]


def clinician_of(user: Any) -> Clinician | None:
    return Clinician.objects.filter(user=user.pk).first()


def signer(request: HttpRequest) -> Clinician:
    """Raises NotAllowedToSign for somebody who is no clinician."""
    found = clinician_of(request.user)
    if found is None:
        raise signing.NotAllowedToSign("Only a clinician gives a verdict.")
    return found


def may_answer(user: User, request: ReviewRequest) -> bool:
    """A clinician, for a text they did not write and nobody else was given."""
    clinician = clinician_of(user)
    return (
        user.has_perm("review.sign")
        and clinician is not None
        and user.pk not in request.author_ids
        and request.assignee_id in (None, clinician.pk)
    )


def may_assign(user: User, request: ReviewRequest) -> bool:
    """Editors, for a tip the newsletter managers, for an article its author who asked.

    Having asked is not enough: a role that somebody had once gives nothing.
    """
    kind = request.subject.partition(":")[0]
    is_own = request.requested_by_id == user.pk and kind == "article"
    return (
        user.has_perm("review.assign")
        or user.has_perm(f"review.assign_{kind}")
        or (is_own and user.has_perm("articles.add_draft"))
    )


def title_of(sign_off: SignOff) -> str:
    """An article's title, a tip's subject."""
    content = sign_off.content
    title = content.get("title") or content.get("subject")
    return str(title or "(removed for a lawful reason)")


def last_approved(request: ReviewRequest) -> SignOff | None:
    """The newest approval of another text of the subject that still counts.

    A text whose approval was taken back hides nothing as unchanged.
    """
    approvals = (
        SignOff.objects.counting()
        .filter(subject=request.subject, verdict=SignOff.Verdict.APPROVED)
        .exclude(digest=request.digest)
        .exclude(content__has_key="redacted")
        .order_by("-entry")
    )
    for one in approvals:
        latest = standing(one.subject, one.digest).sign_off
        if latest and latest.pk == one.pk and one.text_digest() == one.digest:
            return one
    return None


def difference(request: ReviewRequest) -> tuple[SignOff | None, Difference]:
    """What to look at: the change since the last approved text, or all of it."""
    before = last_approved(request)
    return before, compare(before.content if before else None, request.content)


class RequestVerb(Verb):
    refusals = (signing.Refused,)

    def possible(self, obj: ReviewRequest) -> bool:
        return obj.state == ReviewRequest.State.OPEN


class Answer(RequestVerb):
    name = "answer"
    label = "Give a verdict"
    template = "admin/review/reviewrequest/answer.html"

    def allowed(self, user: User, obj: ReviewRequest) -> bool:
        return may_answer(user, obj)

    def form_for(self, request: HttpRequest, obj: ReviewRequest) -> forms.Form:
        return ShownVerdictForm(posted(request), initial={"digest": obj.digest})

    def context(self, request: HttpRequest, obj: ReviewRequest) -> Data:
        if is_redacted(obj):
            return {"redacted": True}
        before, diff = difference(obj)
        return {
            "before": before,
            "difference": diff,
            "whole": compare(None, obj.content) if before else None,
            "size": len(canonical(obj.content)),
        }

    def do(self, request: HttpRequest, obj: ReviewRequest, data: Data) -> str:
        given = signing.answer(
            obj, by=signer(request), shown=data["digest"], **verdict_given(data)
        )
        told = f"Signed: {given.verdict}. It holds for exactly this text."
        if obj.newer_text_at:
            told += " A newer draft exists; it is not covered."
        return told


class Decline(RequestVerb):
    name = "decline"
    label = "Decline"
    explanation = "The text goes back to the queue, and who asked is told why."
    form = DeclineForm

    def allowed(self, user: User, obj: ReviewRequest) -> bool:
        return may_answer(user, obj)

    def do(self, request: HttpRequest, obj: ReviewRequest, data: Data) -> str:
        requesting.decline(obj, by=signer(request), reason=data["reason"])
        return "The text is back in the queue."


class HandOn(RequestVerb):
    name = "hand-on"
    label = "Hand on to a colleague"

    def allowed(self, user: User, obj: ReviewRequest) -> bool:
        return may_answer(user, obj)

    def form_for(self, request: HttpRequest, obj: ReviewRequest) -> forms.Form:
        excluded = [*obj.author_ids, int(request.user.pk or 0)]
        return ClinicianForm(posted(request), authors=excluded)

    def do(self, request: HttpRequest, obj: ReviewRequest, data: Data) -> str:
        requesting.hand_on(obj, by=signer(request), to=data["clinician"])
        return f"{data['clinician'].name} has it now."


class Assign(RequestVerb):
    name = "assign"
    label = "Choose the clinician"

    def allowed(self, user: User, obj: ReviewRequest) -> bool:
        return may_assign(user, obj)

    def form_for(self, request: HttpRequest, obj: ReviewRequest) -> forms.Form:
        return ClinicianForm(posted(request), authors=obj.author_ids)

    def do(self, request: HttpRequest, obj: ReviewRequest, data: Data) -> str:
        requesting.assign(obj, data["clinician"])
        return f"{data['clinician'].name} is asked."


class CallBack(RequestVerb):
    name = "call-back"
    label = "Call back"
    explanation = "No verdict on this text is wanted any more."

    def allowed(self, user: User, obj: ReviewRequest) -> bool:
        return may_assign(user, obj)

    def do(self, request: HttpRequest, obj: ReviewRequest, data: Data) -> str:
        requesting.call_back(obj)
        return "The request is called back."


class Retract(Verb):
    name = "retract"
    label = "Take my approval back"
    explanation = (
        "Readers see at once that this text is not medically reviewed any more. "
        "Your approval stays on record, and so does this."
    )
    is_grave = True
    form = RetractForm
    refusals = (signing.Refused,)

    def allowed(self, user: User, obj: SignOff) -> bool:
        clinician = clinician_of(user)
        return (
            user.has_perm("review.sign")
            and clinician is not None
            and obj.clinician_id == clinician.pk
        )

    def named(self, obj: SignOff) -> str:
        return title_of(obj)

    def possible(self, obj: SignOff) -> bool:
        return obj.verdict == SignOff.Verdict.APPROVED

    def do(self, request: HttpRequest, obj: SignOff, data: Data) -> str:
        signing.retract(obj, by=signer(request), comment=data["comment"])
        return "Your approval is taken back."
