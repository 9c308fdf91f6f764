"""Fields that nobody offered change nothing (ASVS 15.3.3)."""

import pytest

from articles.models import Article, Picture
from review import Clinician, ReviewRequest, SignOff
from tests.house.roles.trials import fresh, press
from tests.house.roles.world import World, writes


def test_a_new_article_is_not_live(world: World) -> None:
    text = world.approved[0].pk

    press(
        world.clients["editor"],
        world,
        "article/add",
        Article.Kind.SYMPTOM,
        live_revision=text,
        published_at_0="2026-01-01",
        published_at_1="09:00",
        unsigned_reason="I may",
    )

    made = Article.objects.get(slug="new")
    assert (made.live_revision, made.published_at) == (None, None)
    assert made.unsigned_reason == ""


def test_furniture_is_all_that_the_form_changes(world: World) -> None:
    article = world.live[0]
    rows = Article.objects.filter(pk=article.pk)
    (before,) = rows.values()
    more = {
        "slug": "mine",
        "live_revision": "",
        "withdrawn_reason": "gone",
        "replaced_by": world.live[1].pk,
        "unsigned_reason": "I may",
        "first_published_at_0": "2001-01-01",
        "first_published_at_1": "09:00",
    }

    press(world.clients["editor"], world, "article/change", article, **more)

    assert list(rows.values()) == [{**before, "aliases": ["tremor", "jerk"]}]


@pytest.mark.parametrize(
    ("who", "number", "kind"), [("editor", 0, "policy"), ("operator", 1, "guide")]
)
def test_an_article_never_becomes_a_policy_nor_a_policy_an_article(
    world: World, who: str, number: int, kind: str
) -> None:
    before = writes()

    press(world.clients[who], world, "article/change", world.live[number], kind=kind)

    assert writes() == before


def test_a_draft_stays_its_writers(world: World) -> None:
    author = world.users["author"]
    mine, other = world.drafts[2], world.drafts[0]
    more = {
        "editor": world.otto.pk,
        "article": other.article_id,
        "author_ids": "",
        "based_on": "",
    }

    press(world.clients["author"], world, "draft/keep", mine, **more)

    kept = fresh(mine)
    assert kept.content["title"] == "A better title"
    assert (kept.editor, kept.article_id) == (author, mine.article_id)
    assert (kept.author_ids, kept.based_on_id) == ([author.pk], mine.based_on_id)


def test_a_picture_is_its_uploaders(world: World) -> None:
    more = {"uploaded_by": world.otto.pk, "digest": "0" * 64, "rendition_of": "1"}

    press(world.clients["author"], world, "picture/add", None, **more)

    made = Picture.objects.filter(rendition_of=None).latest("pk")
    assert made.uploaded_by == world.users["author"]
    assert made.digest != "0" * 64


def test_a_verdict_says_who_gave_it(world: World) -> None:
    more = {
        "clinician": world.cora.pk,
        "signer_name": "Cora",
        "demonstration": "on",
        "valid_until": "2099-01-01",
        "author_ids": "",
    }

    press(
        world.clients["clinician"],
        world,
        "reviewrequest/answer",
        world.requests[0],
        **more,
    )

    given = SignOff.objects.latest("pk")
    assert (given.clinician, given.signer_name) == (world.signer, world.signer.name)
    assert given.demonstration is False
    assert given.author_ids == [world.otto.pk]
    assert given.valid_until.year < 2099


def test_a_request_is_its_askers(world: World) -> None:
    mine = next(t for t in world.texts if t.created_by == world.users["author"])
    more = {"requested_by": world.otto.pk, "author_ids": "", "state": "answered"}

    press(world.clients["author"], world, "revision/submit", mine, **more)

    asked = ReviewRequest.objects.latest("pk")
    assert asked.requested_by == world.users["author"]
    assert asked.author_ids == [world.users["author"].pk]


@pytest.mark.parametrize("verb", ["clinician/add", "clinician/change"])
def test_nobody_makes_an_invented_clinician(world: World, verb: str) -> None:
    obj = world.cora if verb == "clinician/change" else None

    press(world.clients["operator"], world, verb, obj, demonstration="on")

    assert not Clinician.objects.get(name="Renamed").demonstration
