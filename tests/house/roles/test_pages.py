"""W10: every page and action of every model in the admin, asked by everybody."""

import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.urls import reverse

from ledger import Evidence
from tests.house.roles.matrix import LISTS, VERBS, WHO, Target, allows
from tests.house.roles.world import (
    SITE,
    World,
    is_refused,
    page,
    table,
    writes,
)

TEMPLATES = Path(__file__).resolve().parents[3] / "templates"
# What Django's admin has for every model and for everybody; the rest are verbs.
OF_EVERY_MODEL = {"changelist", "add", "history", "delete", "change"}
OF_EVERYBODY = {
    *("index", "login", "logout", "password_change", "password_change_done"),
    *("autocomplete", "jsi18n", "view_on_site", "app_list"),
}
ACTIONS = sorted(
    {"delete_selected", *(str(a) for one in SITE.values() for a in one.actions or ())}
)


def an_object(world: World, model: str) -> Target:
    """Somebody else's, and an article's rather than a policy's."""
    if model == "draft":
        return Target(world.drafts[0])
    if model == "article":
        return Target(world.live[0])
    if model == "clinician":
        return Target(world.newcomer)
    if model == "user":
        return Target(world.otto)
    found = SITE[model].model._default_manager.order_by("pk").first()
    assert found, f"The world of these tests has no {model}."
    return Target(found)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("model", SITE)
def test_w10_who_sees_a_list_and_its_pages(world: World, model: str, who: str) -> None:
    cell, client = LISTS[model].get(who, ""), world.clients[who]
    target = an_object(world, model)

    listed = client.get(table(model))
    shown = client.get(page(target.obj))
    history = client.get(page(target.obj, "history"))

    assert listed.status_code == 200 if cell else is_refused(listed, who)
    if allows(cell, target):
        assert (shown.status_code, history.status_code) == (200, 200)
        return
    assert is_refused(shown, who)
    # What a list doesn't show isn't there: Django leads back to the front page.
    unseen = history.headers.get("Location") == reverse("admin:index")
    assert unseen or is_refused(history, who)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("model", SITE)
def test_w10_what_has_no_row_nobody_does(world: World, model: str, who: str) -> None:
    obj, client = an_object(world, model).obj, world.clients[who]
    pages = {
        "add": table(model, "add"),
        "change": page(obj),
        "delete": page(obj, "delete"),
    }
    before = writes()

    for verb, url in pages.items():
        if f"{model}/{verb}" in VERBS or (model, verb) == ("draft", "change"):
            continue
        assert is_refused(client.post(url, {"post": "yes"}), who), url
        if verb != "change":
            assert is_refused(client.get(url), who), url
    assert writes() == before


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("model", SITE)
def test_w10_no_action_of_a_list_writes(world: World, model: str, who: str) -> None:
    """Neither a deletion, confirmed at once, nor a verdict."""
    rows = list(SITE[model].model._default_manager.values_list("pk", flat=True))

    # Where one sees no list, any action meets the same closed door.
    for action in ACTIONS if LISTS[model].get(who) else ACTIONS[:1]:
        form = {"action": action, "_selected_action": rows, "post": "yes", "index": 0}
        before = writes()

        answer = world.clients[who].post(table(model), form)

        assert writes() == before, action
        # The list again, not a page that asks whether to delete.
        assert answer.status_code != 200 or "cl" in answer.context, action


EVIDENCE = [name for name, one in SITE.items() if issubclass(one.model, Evidence)]


@pytest.mark.parametrize("model", EVIDENCE)
def test_not_even_a_superuser_rewrites_evidence(world: World, model: str) -> None:
    obj = an_object(world, model).obj
    before = writes()

    answers = [
        world.superuser.post(page(obj), {"digest": "0" * 64}),
        world.superuser.post(page(obj, "delete"), {"post": "yes"}),
    ]
    if model != "picture":
        answers.append(world.superuser.post(table(model, "add"), {}))

    assert {one.status_code for one in answers} == {403}
    assert writes() == before


def own_views(model: str) -> set[str]:
    """Names of a model's admin pages besides those that Django gives to each."""
    prefix = f"{SITE[model].opts.app_label}_{model}_"
    names = {str(one.name).removeprefix(prefix) for one in SITE[model].get_urls()}
    return names - OF_EVERY_MODEL - {"None", "verb"}


def test_every_verb_view_and_action_has_a_row() -> None:
    found = {
        f"{model}/{name}"
        for model, one in SITE.items()
        for name in (
            *(verb.name for verb in getattr(one, "verbs", ())),
            *own_views(model),
            *(one.actions or ()),
        )
    }
    writing = (TEMPLATES / "admin/articles/draft/writing.html").read_text()
    buttons = {
        f"draft/{one}" for one in re.findall(r'type="submit".*name="_(\w+)"', writing)
    }

    assert sorted((found | buttons) - set(VERBS)) == []
    forms = {
        f"{model}/{verb}" for model in SITE for verb in ("add", "change", "delete")
    }
    assert sorted(set(VERBS) - found - buttons - forms) == ["draft/autosave"]


def test_every_list_has_a_row() -> None:
    assert len(SITE) == len(admin.site._registry), "two models have one name"
    assert sorted(LISTS) == sorted(SITE)


def test_the_admin_has_no_other_pages() -> None:
    names = {one.name for one in admin.site.get_urls() if hasattr(one, "name")}

    assert {str(one) for one in names if one} == OF_EVERYBODY


def test_nothing_is_edited_inside_something_else() -> None:
    assert [model for model, one in SITE.items() if one.inlines] == []
