"""What can happen to articles, drafts and revisions, each as a page of the admin."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from articles import addresses, editing, permissions, publishing, scheduling
from articles.content import BadContent
from articles.forms import (
    AddressForm,
    NoteForm,
    ReasonForm,
    ScheduleForm,
    SubmitForm,
    WithdrawForm,
)
from articles.models import Article, Draft, Revision, ScheduledPublication
from articles.refusals import Refused
from articles.submitting import submit
from review import DeskAdmin, Standing, Verb, admin_url, posted, standings

Data = dict[str, Any]


def person(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the admin lets nobody else in"  # noqa: S101
    return request.user


def writing_url(article: Article) -> str:
    """Leads on to the person's own draft."""
    return reverse("admin:articles_article_verb", args=[article.pk, Write.name])


class ArticleVerb(Verb):
    refusals = (Refused, BadContent)

    def allowed(self, user: User, obj: Article) -> bool:
        return permissions.may_publish(user, obj)

    def named(self, obj: Article) -> str:
        return title_of(obj)


class Write(ArticleVerb):
    name = "write"
    label = "Write"
    explanation = (
        "You get a draft of your own, from the newest text. Until you save it as a "
        "revision, only you and the editors can open it; readers see nothing until "
        "one is published."
    )
    button = "Start writing"

    def allowed(self, user: User, obj: Article) -> bool:
        return permissions.may_write(user, obj)

    def respond(
        self, request: HttpRequest, obj: Article, desk: DeskAdmin
    ) -> HttpResponse:
        """Straight to the draft where there is one already."""
        mine = Draft.objects.filter(article=obj, editor=person(request)).first()
        if mine:
            return HttpResponseRedirect(admin_url(mine))
        return super().respond(request, obj, desk)

    def do(self, request: HttpRequest, obj: Article, data: Data) -> str:
        editing.start_draft(obj, by=person(request))
        return "This is your draft. It is kept while you write."

    def next_url(self, obj: Article) -> str:
        return writing_url(obj)


class Withdraw(ArticleVerb):
    name = "withdraw"
    label = "Withdraw"
    explanation = (
        "The page leaves the site at once. Its address says why, or leads to another "
        "article. What was scheduled is cancelled. Nothing is deleted."
    )
    is_grave = True

    def possible(self, obj: Article) -> bool:
        return obj.live_revision_id is not None

    def form_for(self, request: HttpRequest, obj: Article) -> forms.Form:
        return WithdrawForm(posted(request), article=obj)

    def do(self, request: HttpRequest, obj: Article, data: Data) -> str:
        publishing.withdraw(
            obj,
            reason=data["reason"],
            replaced_by=data["replaced_by"],
            by=person(request),
        )
        return f"“{obj}” is off the site."


class Correct(ArticleVerb):
    name = "correct"
    label = "Add a correction note"
    form = NoteForm

    def possible(self, obj: Article) -> bool:
        return obj.live_revision_id is not None

    def do(self, request: HttpRequest, obj: Article, data: Data) -> str:
        publishing.correct(obj, note=data["note"], by=person(request))
        return "The note stands on the page."


class Move(ArticleVerb):
    name = "move"
    label = "Change the address"
    explanation = "The old address leads to the new one for ever."
    form = AddressForm

    def allowed(self, user: User, obj: Article) -> bool:
        return permissions.may_furnish(user, obj)

    def do(self, request: HttpRequest, obj: Article, data: Data) -> str:
        addresses.move(obj, slug=data["slug"], by=person(request))
        return f"The article lives at {data['slug']} now; the old address leads there."


class CancelSchedule(ArticleVerb):
    name = "cancel-schedule"
    label = "Cancel the scheduled publication"

    def possible(self, obj: Article) -> bool:
        return waiting(obj) is not None

    def do(self, request: HttpRequest, obj: Article, data: Data) -> str:
        plan = waiting(obj)
        if plan is None:
            raise scheduling.NotWaiting("Nothing is scheduled.")
        scheduling.cancel(plan, by=person(request))
        return "Nothing is scheduled any more."


def waiting(article: Article) -> ScheduledPublication | None:
    return article.schedule.filter(state=ScheduledPublication.State.WAITING).first()


class RevisionVerb(Verb):
    refusals = (Refused,)

    def allowed(self, user: User, obj: Revision) -> bool:
        return permissions.may_publish(user, obj.article)

    def named(self, obj: Revision) -> str:
        return f"{obj.title}, revision {obj.number}"


class Submit(RevisionVerb):
    name = "submit"
    label = "Submit for review"
    explanation = (
        "A clinician is asked for a verdict on exactly this text. You can go on "
        "writing meanwhile: the verdict is on this text and no other."
    )

    def allowed(self, user: User, obj: Revision) -> bool:
        return permissions.may_submit(user, obj)

    def form_for(self, request: HttpRequest, obj: Revision) -> forms.Form:
        return SubmitForm(posted(request), authors=obj.author_ids)

    def do(self, request: HttpRequest, obj: Revision, data: Data) -> str:
        submit(obj, by=person(request), **data)
        return f"Revision {obj.number} waits for a verdict."


class Publish(RevisionVerb):
    name = "publish"
    label = "Publish"
    explanation = "Readers see exactly this text from now on."

    def do(self, request: HttpRequest, obj: Revision, data: Data) -> str:
        publishing.publish(obj, by=person(request))
        return f"Readers see revision {obj.number} now."


class Schedule(RevisionVerb):
    name = "schedule"
    label = "Publish later"
    explanation = (
        "Exactly this text goes on the site at the minute you choose, or as soon as a "
        "clinician approves it. If its approval is gone by then, it is not published "
        "and you get a mail."
    )
    form = ScheduleForm
    button = "Schedule"

    def do(self, request: HttpRequest, obj: Revision, data: Data) -> str:
        when = data["planned_for"]
        scheduling.schedule(obj, by=person(request), planned_for=when)
        if when is None:
            return f"Revision {obj.number} is published as soon as it is approved."
        return f"Revision {obj.number} is published on {when:%-d %B %Y at %H:%M} UTC."


class PublishUnsigned(RevisionVerb):
    name = "publish-unsigned"
    label = "Publish without approval"
    explanation = (
        "No clinician has approved this text. The page says so at its top, with your "
        "reason, and so does the trust page."
    )
    form = ReasonForm
    is_grave = True

    def allowed(self, user: User, obj: Revision) -> bool:
        return permissions.may_publish_unsigned(user, obj.article)

    def do(self, request: HttpRequest, obj: Revision, data: Data) -> str:
        publishing.publish_unsigned(obj, by=person(request), reason=data["reason"])
        return f"Readers see revision {obj.number} now, and that nobody approved it."


class BringBack(RevisionVerb):
    name = "bring-back"
    label = "Bring back as a draft"
    explanation = (
        "You get a draft with this old text. Saved without a change, it has the "
        "standing that it had: an approval belongs to the text."
    )

    def allowed(self, user: User, obj: Revision) -> bool:
        return permissions.may_change_others(user, obj.article)

    def do(self, request: HttpRequest, obj: Revision, data: Data) -> str:
        editing.bring_back(obj, by=person(request))
        return f"This is your draft, with the text of revision {obj.number}."

    def next_url(self, obj: Revision) -> str:
        return writing_url(obj.article)


def title_of(article: Article) -> str:
    """Of the live text, else of the newest one; its address before there is one."""
    shown = article.live_revision or editing.newest_revision(article)
    return shown.title if shown else article.slug


def state_words(article: Article) -> str:
    """Where the article stands, in a sentence."""
    live = article.live_revision
    if live is None:
        return "Off the site." if article.withdrawn_at else "Never published."
    if article.kind == Article.Kind.POLICY:
        return f"On the site: revision {live.number}."
    words = standing_words(live)
    review = f"{words[0].lower()}{words[1:]}"
    return f"On the site: revision {live.number}. Its review: {review}."


def standing_words(revision: Revision) -> str:
    """The revision's standing as colleagues read it, with its date."""
    (words,) = standings_words([revision])
    return words


def standings_words(revisions: Sequence[Revision]) -> list[str]:
    """`standing_words` of each, by one query; needs `article` selected along."""
    pairs = [(one.article.subject, one.text_digest()) for one in revisions]
    found = standings(pairs)
    return [_words(found[pair]) for pair in pairs]


def _words(found: Standing) -> str:
    if found.sign_off is None:
        return found.state.label
    signer, ends = found.sign_off.signer_name, found.sign_off.valid_until
    return f"{found.state.label}: {signer}, until {ends:%-d %B %Y}"


def user_names(ids: list[int]) -> str:
    """The user names behind author ids, as colleagues know them."""
    names = User.objects.filter(pk__in=ids).order_by("username")
    return ", ".join(one.get_username() for one in names) or "nobody yet"
