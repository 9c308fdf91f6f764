"""What no form, no second role and no gift of the operator gets round."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from review import ReviewRequest
from tests.house.roles.matrix import ROLES
from tests.house.roles.trials import fresh, press
from tests.house.roles.world import World, browser, page, table, writes
from twitchsite.admin import ROLES as GIVEN_BY_OPERATORS


def unsigned() -> int:
    """The permission that no role has."""
    return Permission.objects.get(codename="publish_unsigned").pk


def give(user: User, *roles: str) -> Client:
    user.groups.set(Group.objects.filter(name__in=roles))
    return browser(user)


# --- Nobody gets above the roles -------------------------------------------------


def test_no_role_publishes_unsigned(world: World) -> None:
    assert not Group.objects.filter(permissions=unsigned()).exists()


def test_the_roles_are_those_of_the_document(world: World) -> None:
    assert sorted(GIVEN_BY_OPERATORS) == sorted(ROLES)
    assert sorted(Group.objects.values_list("name", flat=True)) == sorted(ROLES)


@pytest.mark.parametrize("whose", ["operator", "author"])
def test_an_operator_gives_roles_and_nothing_above(world: World, whose: str) -> None:
    user, power = world.users[whose], Group.objects.create(name="power")
    power.permissions.set([unsigned()])
    editor = Group.objects.get(name="editor")
    good = {"user_permissions": [unsigned()], "is_superuser": "on"}

    with_power = press(
        world.clients["operator"], world, "user/change", user, groups=[power.pk], **good
    )
    assert (with_power, fresh(user).first_name) == (200, "")
    press(
        world.clients["operator"],
        world,
        "user/change",
        user,
        groups=[editor.pk],
        **good,
    )

    now = fresh(user)
    assert now.first_name == "Renamed"
    assert list(now.groups.all()) == [editor]
    assert not now.is_superuser
    assert not now.user_permissions.exists()


def test_a_new_account_has_no_rights(world: World) -> None:
    more = {
        "is_superuser": "on",
        "is_staff": "on",
        "groups": [one.pk for one in Group.objects.all()],
        "user_permissions": [unsigned()],
    }

    press(world.clients["operator"], world, "user/add", None, **more)

    made = User.objects.get(username="hired")
    assert (made.is_superuser, made.is_staff) == (False, False)
    assert not made.groups.exists()
    assert not made.user_permissions.exists()


@pytest.mark.parametrize("verb", ["user/change", "user/password_change"])
@pytest.mark.parametrize("gift", ["permission", "group"])
def test_an_account_that_can_more_than_the_roles_is_a_superusers(
    world: World, verb: str, gift: str
) -> None:
    if gift == "permission":
        world.otto.user_permissions.set([unsigned()])
    else:
        world.otto.groups.add(Group.objects.create(name="power"))

    assert press(world.clients["operator"], world, verb, world.otto) == 403
    assert press(world.superuser, world, verb, world.otto) == 302


def test_a_superuser_gives_somebody_the_right_to_publish_unsigned(
    world: World,
) -> None:
    text = world.texts[0]
    editor = world.users["editor"]
    assert (
        press(world.clients["editor"], world, "revision/publish-unsigned", text) == 403
    )

    roles = [one.pk for one in editor.groups.all()]
    given = {"groups": roles, "user_permissions": [unsigned()], "is_active": "on"}
    press(world.superuser, world, "user/change", editor, **given)
    press(world.clients["editor"], world, "revision/publish-unsigned", text)

    assert fresh(text.article).unsigned_reason == "For a good reason."


# --- Roles combined, and roles that somebody had ---------------------------------


@pytest.mark.parametrize("other", ROLES)
def test_no_second_role_lets_a_clinician_sign_own_texts(
    world: World, other: str
) -> None:
    client = give(world.signer.user, "clinician", other)
    own = next(r for r in world.requests if r.requested_by == world.signer.user)
    verbs = ["answer", "decline", "hand-on"]

    codes = [press(client, world, f"reviewrequest/{verb}", own) for verb in verbs]
    press(client, world, "reviewrequest/together", own)

    assert codes == [403, 403, 403]
    assert fresh(own).state == "open"


def test_a_colleagues_request_is_the_colleagues_to_answer(world: World) -> None:
    waiting = world.requests[0]
    ReviewRequest.objects.filter(pk=waiting.pk).update(assignee=world.cora)

    code = press(world.clients["clinician"], world, "reviewrequest/answer", waiting)
    press(world.clients["clinician"], world, "reviewrequest/together", waiting)

    assert code == 403
    assert fresh(waiting).state == "open"


@pytest.mark.parametrize("role", ["", "newsletter manager", "operator"])
def test_a_role_somebody_had_gives_nothing(world: World, role: str) -> None:
    asked = world.requests[0]
    client = give(world.otto, role)
    before = writes()

    for verb in ("assign", "call-back"):
        assert press(client, world, f"reviewrequest/{verb}", asked) == 403
    assert press(client, world, "draft/keep", world.drafts[0]) == 403
    assert press(client, world, "revision/submit", world.texts[0]) == 403
    assert writes() == before


def test_a_clinician_who_signed_stays_on_record(world: World) -> None:
    before = writes()

    press(world.clients["operator"], world, "clinician/delete", world.cora)

    assert writes() == before


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        ("author", {"author"}),
        ("editor", {"author", "clinician", "editor", "otto"}),
        ("operator", {"policy"}),
    ],
)
def test_a_list_of_drafts_shows_what_one_may_open(
    world: World, who: str, sees: set[str]
) -> None:
    listed = world.clients[who].get(table("draft")).context["cl"].result_list

    assert listed
    assert all(world.clients[who].get(page(one)).status_code == 200 for one in listed)
    shown = {
        "policy" if one.article.kind == "policy" else one.editor.username
        for one in listed
    }
    assert shown >= sees
    assert ("policy" in shown) is (who == "operator")
    assert who != "author" or shown == sees
