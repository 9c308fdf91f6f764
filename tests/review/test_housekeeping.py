"""Tidying up moves no verdict: what was signed stays signed, whoever sweeps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command, get_commands
from django.db import models
from django.db.models import ProtectedError
from django.test import Client
from pytest_django import Settings

from articles.editing import revise, start_draft
from articles.models import Article, Draft, PublishingEvent, Revision, Section
from articles.submitting import submit
from ledger import Entry
from ledger.models import Seal
from ledger.redacting import redact
from ledger.sealing import seal
from ledger.verifying import verify
from review import Clinician, ReviewRequest, SignOff, admin_url, standing
from review.models import TextInUse
from tests.articles.signed_page import TEXT, Site, clinician, open_site, public
from twitchsite.celery import app


@pytest.fixture
def site(cloned_database: str) -> Site:
    found = open_site()
    submit(revise(found.article, {**TEXT, "title": "New"}, by=None)[0], by=found.edith)
    start_draft(found.article, by=found.edith)
    seal()
    return found


def evidence() -> dict[str, list[Any]]:
    """Every row that says who signed, published or committed to what."""
    kept = (SignOff, Revision, PublishingEvent, Entry, Seal)
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in kept
    }


def own_commands() -> set[str]:
    """The commands that this project brings along."""
    own = {
        one.name
        for one in apps.get_app_configs()
        if Path(one.path).parent == settings.BASE_DIR
    }
    return {name for name, room in get_commands().items() if room in own}


# Commands that tidy nothing: they write texts or take them away, as they say.
WRITING = {"demonstrate", "loadlibrary", "redact"}
# These ask a person, a mailbox or a file first; what they write is mail's or consent's.
ELSEWHERE = {
    *("adoptdatabase", "batchreport", "pollbounces", "settleuncertain", "takebounce"),
    *("askpermission", "exportsubscribers", "importsubscribers", "proveconsent"),
    "sendtestmail",
}
TICKS = {str(row["task"]) for row in settings.CELERY_BEAT_SCHEDULE.values()}
COMMANDS: dict[str, Callable[[], object]] = {
    "retain": lambda: call_command("retain"),
    "clearsessions": lambda: call_command("clearsessions"),
    "remove_stale_contenttypes": lambda: call_command(
        "remove_stale_contenttypes", include_stale_apps=True, interactive=False
    ),
    "migrate": lambda: call_command("migrate", verbosity=0),
    "createcachetable": lambda: call_command("createcachetable", dry_run=True),
    "verifyledger": lambda: call_command("verifyledger"),
    "check": lambda: call_command("check", databases=["default"]),
    "drafts": lambda: Draft.objects.all().delete(),
    "requests": lambda: ReviewRequest.objects.all().delete(),
    "texts in use": lambda: TextInUse.objects.all().delete(),
    "content types": lambda: ContentType.objects.all().delete(),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_housekeeping_moves_a_verdict(site: Site, command: str) -> None:
    before, readers = evidence(), public()

    COMMANDS[command]()

    assert evidence() == before
    assert public() == readers
    assert standing(site.article.subject, site.live.digest).sign_off == site.sign_off
    assert verify().is_whole


def test_every_command_of_ours_is_tried_or_said_to_tidy_nothing() -> None:
    assert own_commands() - set(COMMANDS) == WRITING | ELSEWHERE


@pytest.mark.parametrize("tick", sorted(TICKS))
def test_no_tick_of_the_clock_moves_a_verdict(site: Site, tick: str) -> None:
    app.loader.import_default_modules()
    before, readers = evidence(), public()

    app.tasks[tick]()

    assert evidence() == before
    assert public() == readers
    assert standing(site.article.subject, site.live.digest).sign_off == site.sign_off


def test_users_who_left_take_no_verdict_with_them(site: Site) -> None:
    before, readers = evidence(), public()
    passer_by = User.objects.create(username="passer-by")
    start_draft(site.article, by=passer_by)

    passer_by.delete()

    assert evidence() == before
    assert public() == readers


def test_another_text_that_was_redacted_moves_no_verdict_on_this_one(
    site: Site,
) -> None:
    other = site.article.revisions.get(number=2)
    readers = public()

    redact(other.digest, reason="A court asked for it.", using="owner")

    assert public() == readers
    assert standing(site.article.subject, site.live.digest).publishable
    assert verify().is_whole


@pytest.mark.parametrize("database", ["default", "owner"])
def test_p2_flush_is_refused_with_the_data_intact(site: Site, database: str) -> None:
    before, readers = evidence(), public()

    with pytest.raises(CommandError):
        call_command("flush", database=database, interactive=False)

    assert evidence() == before
    assert public() == readers


# --- People who are on record -----------------------------------------------------


def on_record() -> dict[str, models.Model]:
    found = clinician()
    return {
        "the clinician": found,
        "their account": found.user,
        "the editor's account": User.objects.get(username="edith"),
        "the article": Article.objects.get(),
        "its section": Section.objects.get(),
        "its live text": Revision.objects.order_by("pk")[0],
    }


@pytest.mark.parametrize(
    "who",
    [
        "the clinician",
        "their account",
        "the editor's account",
        "the article",
        "its section",
        "its live text",
    ],
)
def test_what_stands_on_record_is_not_deleted(site: Site, who: str) -> None:
    before, readers = evidence(), public()

    with pytest.raises(ProtectedError):
        on_record()[who].delete()

    assert evidence() == before
    assert public() == readers


@pytest.fixture
def operator(site: Site, settings: Settings, tmp_path: Path) -> Client:
    """A superuser: nobody may do more in the admin."""
    settings.STATIC_ROOT = tmp_path
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(site.edith)
    return client


def press_delete(operator: Client, row: models.Model) -> str:
    address = f"{admin_url(row).removesuffix('change/')}delete/"
    shown = operator.post(address, {"post": "yes"}, follow=True)
    return " ".join(shown.content.decode().split())


def test_the_admin_keeps_a_clinician_who_signed_and_says_how_to_end_it(
    site: Site, operator: Client
) -> None:
    told = press_delete(operator, clinician())

    assert "Carla Example has signed texts and stays on record." in told
    assert "let the credential expire and deactivate the account" in told
    assert Clinician.objects.exists()


@pytest.mark.parametrize("name", ["carla", "edith"])
def test_the_admin_keeps_an_account_that_is_on_record_and_says_why(
    site: Site, operator: Client, name: str
) -> None:
    told = press_delete(operator, User.objects.get(username=name))

    assert "Cannot delete user" in told
    assert User.objects.filter(username=name).exists()


def test_the_list_keeps_an_account_that_is_on_record_as_well(
    site: Site, operator: Client
) -> None:
    carla = User.objects.get(username="carla")

    operator.post(
        "/admin/auth/user/",
        {
            "action": "delete_selected",
            "_selected_action": [carla.pk],
            "post": "yes",
        },
    )

    assert User.objects.filter(pk=carla.pk).exists()


def test_a_clinician_who_signed_nothing_can_go(site: Site, operator: Client) -> None:
    user = User.objects.create(username="dora")
    expires = clinician().credential_expires_at
    dora = Clinician.objects.create(
        user=user,
        name="Dora Example",
        credentials="MD",
        registration="GMC 1",
        credential_expires_at=expires,
    )

    press_delete(operator, dora)

    assert not Clinician.objects.filter(pk=dora.pk).exists()


def test_a_clinician_who_left_stays_named_under_what_they_signed(site: Site) -> None:
    readers = public()

    Clinician.objects.update(
        name="Somebody Else", credentials="none", registration="struck off"
    )
    User.objects.filter(username="carla").update(is_active=False, username="left")

    assert public() == readers
