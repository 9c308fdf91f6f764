"""How each verb is tried: on what, with which form, with what effect."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from articles.models import Article, Picture, Section
from newsletter.models import HealthTip, Schedule, SubscriberAccess
from review import Clinician, ReviewRequest, SignOff
from tests.house.roles.forms import (
    Form,
    account,
    chosen,
    credentials,
    furniture,
    new_article,
    password,
    planned,
    saying,
    slot,
    tip_text,
    upload,
    verdict,
    writing,
)
from tests.house.roles.targets import (
    Targets,
    accounts,
    approvals,
    articles,
    drafts,
    kinds,
    nothing,
    one,
    requests,
    texts,
)
from tests.house.roles.world import World, page, table

FORBIDDEN = (403,)
# A list or form that others may use as well: it opens, and does nothing for them.
SHARED = (403, 200)


@dataclass(frozen=True)
class Trial:
    """`done` says of a target whether the verb has really done it."""

    targets: Targets
    url: Callable[[Any], str]
    form: Callable[[World, Any], Form] = lambda world, obj: {}
    done: Callable[[Any], bool] = lambda obj: True
    # A change form's GET is no verb: who sees the list sees the page.
    methods: str = "GET POST"
    refusals: tuple[int, ...] = FORBIDDEN


def fresh(obj: Any) -> Any:
    return type(obj).objects.get(pk=obj.pk)


def is_gone(obj: Any) -> bool:
    return not type(obj).objects.filter(pk=obj.pk).exists()


def verb(name: str) -> Callable[[Any], str]:
    def url(obj: Any) -> str:
        meta = obj._meta
        view = f"admin:{meta.app_label}_{meta.model_name}_verb"
        return reverse(view, args=[obj.pk, name])

    return url


def adding(model: str) -> Callable[[Any], str]:
    return lambda obj: table(model, "add")


def draft_trial(
    button: str, done: Callable[[Any], bool], methods: str = "POST", **more: str
) -> Trial:
    return Trial(drafts, page, writing(button, **more), done, methods)


def is_kept(draft: Any) -> bool:
    return bool(fresh(draft).content["title"] == "A better title")


def is_live(revision: Any) -> bool:
    return bool(fresh(revision.article).live_revision_id == revision.pk)


def has_plan(article: Article) -> bool:
    return article.schedule.filter(state="waiting").exists()


def is_asked(text: Any) -> bool:
    return ReviewRequest.objects.filter(digest=text.digest, state="open").exists()


def state(expected: str) -> Callable[[Any], bool]:
    return lambda obj: fresh(obj).state == expected


def holds_tip(slug: str) -> Callable[[Any], bool]:
    return lambda obj: HealthTip.objects.filter(slug=slug).exists()


def batch_is(expected: str) -> Callable[[Any], bool]:
    return lambda obj: fresh(obj.batch).state == expected


def choosing(action: str) -> Callable[[World, Any], Form]:
    return lambda world, obj: {
        "action": action,
        "_selected_action": obj.pk,
        "index": 0,
    }


def deciding(name: str) -> Callable[[Any], str]:
    return lambda obj: f"{table('delivery', name)}?id__in={obj.pk}"


CASE = {"purpose": "the person asked", "reference": "case 7"}


def noted(act: str) -> Callable[[Any], bool]:
    return lambda subscriber: SubscriberAccess.objects.filter(
        act=act, subscriber_key=subscriber.key, reference="case 7"
    ).exists()


TRIALS = {
    "article/add": Trial(
        kinds,
        adding("article"),
        new_article,
        lambda kind: Article.objects.filter(slug="new", kind=kind).exists(),
        refusals=SHARED,
    ),
    "article/change": Trial(
        articles("live"),
        page,
        furniture,
        lambda article: fresh(article).aliases == ["tremor", "jerk"],
        methods="POST",
    ),
    "article/write": Trial(
        articles("live"),
        verb("write"),
        done=lambda article: article.drafts.exists(),
    ),
    "draft/keep": draft_trial("_keep", is_kept, "GET POST"),
    "draft/autosave": draft_trial("_autosave", is_kept),
    "draft/preview": Trial(drafts, lambda draft: page(draft, "preview"), methods="GET"),
    "draft/save": draft_trial(
        "_save",
        lambda draft: draft.article.revisions.filter(
            content__title="A better title"
        ).exists(),
    ),
    "draft/discard": draft_trial("_discard", is_gone, sure="1"),
    "picture/add": Trial(
        nothing,
        adding("picture"),
        upload,
        lambda obj: Picture.objects.filter(rendition_of=None).count() == 2,
    ),
    "revision/preview": Trial(
        texts("texts"), lambda text: page(text, "preview"), methods="GET"
    ),
    "revision/bring-back": Trial(
        texts("texts"),
        verb("bring-back"),
        done=lambda text: text.article.drafts.exists(),
    ),
    "revision/submit": Trial(texts("texts"), verb("submit"), done=is_asked),
    "revision/publish": Trial(texts("approved"), verb("publish"), done=is_live),
    "revision/schedule": Trial(
        texts("approved"),
        verb("schedule"),
        planned,
        lambda text: has_plan(text.article),
    ),
    "article/cancel-schedule": Trial(
        articles("planned"),
        verb("cancel-schedule"),
        done=lambda article: not has_plan(article),
    ),
    "revision/publish-unsigned": Trial(
        texts("texts"), verb("publish-unsigned"), saying("reason"), is_live
    ),
    "article/withdraw": Trial(
        articles("live"),
        verb("withdraw"),
        saying("reason"),
        lambda article: fresh(article).withdrawn_at is not None,
    ),
    "article/correct": Trial(
        articles("live"),
        verb("correct"),
        saying("note"),
        lambda article: article.events.filter(act="corrected").exists(),
    ),
    "article/move": Trial(
        articles("live"),
        verb("move"),
        lambda world, article: {"slug": "moved"},
        lambda article: fresh(article).slug == "moved",
    ),
    "section/add": Trial(
        nothing,
        adding("section"),
        lambda world, obj: {"slug": "plan", "title": "Plan", "position": 2},
        lambda obj: Section.objects.filter(slug="plan").exists(),
    ),
    "section/change": Trial(
        one("section"),
        page,
        lambda world, obj: {"slug": "conditions", "title": "Renamed", "position": 2},
        lambda section: fresh(section).title == "Renamed",
        methods="POST",
    ),
    "reviewrequest/answer": Trial(requests, verb("answer"), verdict, state("answered")),
    "reviewrequest/decline": Trial(
        requests,
        verb("decline"),
        saying("reason"),
        lambda request: fresh(request).declined != "",
    ),
    "reviewrequest/hand-on": Trial(
        requests,
        verb("hand-on"),
        chosen,
        lambda request: fresh(request).assignee is not None,
    ),
    "reviewrequest/sign_together": Trial(
        requests,
        lambda request: table("reviewrequest"),
        lambda world, request: {
            "action": "sign_together",
            "_selected_action": request.pk,
            "index": 0,
        },
        methods="POST",
        refusals=SHARED,
    ),
    "reviewrequest/together": Trial(
        requests,
        lambda request: f"{table('reviewrequest', 'together')}?id={request.pk}",
        verdict,
        state("answered"),
        # Back to the list, which says that this text is not theirs to sign.
        refusals=(*SHARED, 302),
    ),
    "signoff/retract": Trial(
        approvals,
        verb("retract"),
        saying("comment"),
        lambda given: SignOff.objects.filter(
            digest=given.digest, verdict="retracted"
        ).exists(),
    ),
    "reviewrequest/assign": Trial(
        requests,
        verb("assign"),
        chosen,
        lambda request: fresh(request).assignee is not None,
    ),
    "reviewrequest/call-back": Trial(
        requests, verb("call-back"), done=state("called back")
    ),
    "healthtip/add": Trial(
        nothing,
        adding("healthtip"),
        lambda world, obj: {"slug": "new", "position": 9},
        holds_tip("new"),
    ),
    "healthtip/change": Trial(
        one("tip"),
        page,
        lambda world, tip: {"slug": "renamed", "position": 9},
        holds_tip("renamed"),
        methods="POST",
    ),
    "healthtip/revise": Trial(
        one("tip"),
        verb("revise"),
        tip_text,
        lambda tip: tip.revisions.filter(content__subject="Sleep").exists(),
    ),
    "tiprevision/submit": Trial(one("tip_text"), verb("submit"), done=is_asked),
    **{
        f"{kind}/{name}": Trial(one(target), verb(name), saying("reason"), done)
        for kind, suffix in (("issue", ""), ("correction", "_correction"))
        for name, target, done in (
            ("pause", f"running{suffix}", batch_is("paused")),
            ("resume", f"paused{suffix}", batch_is("running")),
            ("cancel", f"running{suffix}", batch_is("cancelled")),
        )
    },
    "issue/correct": Trial(
        one("ended"),
        verb("correct"),
        lambda world, issue: {"shown": world.newer.pk},
        lambda issue: issue.corrections.exists(),
    ),
    **{
        f"delivery/{name}": Trial(
            one("uncertain"),
            lambda delivery: table("delivery"),
            choosing(name),
            methods="POST",
        )
        for name in ("settle_as_arrived", "settle_as_not_arrived", "resend")
    },
    **{
        f"delivery/{name}": Trial(
            one("uncertain"), deciding(name), lambda world, obj: {"number": 1}, done
        )
        for name, done in (
            ("settling-as-arrived", state("accepted")),
            ("settling-as-not-arrived", state("refused")),
            ("resending", state("queued")),
        )
    },
    "subscriber/look": Trial(
        one("rosa"),
        lambda subscriber: table("subscriber", "look"),
        lambda world, subscriber: {"address": "Rosa@example.com", **CASE},
        noted("looked"),
    ),
    **{
        f"subscriber/{name}": Trial(
            one(target),
            verb(name),
            lambda world, subscriber: {
                "address": subscriber.recipient.address,
                "form": "json",
                **CASE,
            },
            noted(act),
        )
        for name, target, act in (
            ("block", "rosa", "blocked"),
            ("lift-block", "tom", "lifted a block"),
            ("prove", "rosa", "proved consent"),
            ("export", "rosa", "exported"),
            ("erase", "rosa", "erased"),
        )
    },
    "schedule/add": Trial(
        nothing,
        adding("schedule"),
        slot,
        lambda obj: Schedule.objects.filter(name="Monthly").exists(),
    ),
    "schedule/change": Trial(
        one("schedule"),
        page,
        slot,
        lambda schedule: fresh(schedule).name == "Monthly",
        methods="POST",
    ),
    "clinician/add": Trial(
        nothing,
        adding("clinician"),
        credentials,
        lambda obj: Clinician.objects.filter(name="Renamed").exists(),
    ),
    "clinician/change": Trial(
        one("cora"),
        page,
        credentials,
        lambda clinician: fresh(clinician).name == "Renamed",
        methods="POST",
    ),
    "clinician/delete": Trial(
        one("newcomer"),
        lambda clinician: page(clinician, "delete"),
        lambda world, clinician: {"post": "yes"},
        is_gone,
    ),
    "user/add": Trial(
        nothing,
        adding("user"),
        password,
        lambda obj: User.objects.filter(username="hired").exists(),
    ),
    "user/change": Trial(
        accounts,
        page,
        account,
        lambda user: fresh(user).first_name == "Renamed",
        methods="POST",
    ),
    "user/password_change": Trial(
        accounts,
        lambda user: page(user, "password_change"),
        password,
        lambda user: fresh(user).password != user.password,
    ),
}


def press(client: Client, world: World, verb: str, obj: Any, **more: Any) -> int:
    """POST the good form of a trial, with fields that nobody offered."""
    trial = TRIALS[verb]
    form = {"csrfmiddlewaretoken": "-", **trial.form(world, obj), **more}
    return client.post(trial.url(obj), form).status_code
