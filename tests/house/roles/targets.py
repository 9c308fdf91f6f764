"""What a verb is tried on: somebody else's, and the person's own."""

from collections.abc import Callable

from django.contrib.auth.models import User

from articles.models import Article
from tests.house.roles.matrix import Target
from tests.house.roles.world import World

# The world, and who is asking: nobody for somebody from outside.
Targets = Callable[[World, User | None], list[Target]]


def about(article: Article) -> str:
    return "policy" if article.kind == Article.Kind.POLICY else "article"


def nothing(world: World, user: User | None) -> list[Target]:
    return [Target(None, "")]


def one(name: str) -> Targets:
    return lambda world, user: [Target(getattr(world, name), "")]


def articles(kind: str) -> Targets:
    return lambda world, user: [Target(a, about(a)) for a in getattr(world, kind)]


def kinds(world: World, user: User | None) -> list[Target]:
    return [Target(Article.Kind.SYMPTOM), Target(Article.Kind.POLICY, "policy")]


def drafts(world: World, user: User | None) -> list[Target]:
    return [
        Target(one, about(one.article), own=one.editor == user)
        for one in world.drafts
        if one.editor in (world.otto, user)
    ]


def texts(name: str) -> Targets:
    return lambda world, user: [
        Target(one, about(one.article), own=one.created_by == user)
        for one in getattr(world, name)
        if one.created_by in (world.otto, user)
    ]


def requests(world: World, user: User | None) -> list[Target]:
    return [
        Target(one, one.subject.partition(":")[0], own=one.requested_by == user)
        for one in world.requests
        if one.requested_by in (world.otto, user)
    ]


def approvals(world: World, user: User | None) -> list[Target]:
    return [Target(one, own=one.clinician.user == user) for one in world.approvals]


def accounts(world: World, user: User | None) -> list[Target]:
    return [Target(world.otto, ""), Target(world.sue, "", above=True)]
