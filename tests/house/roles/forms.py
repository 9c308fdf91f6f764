"""Good forms: posted by who may, they do it."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile

from articles.models import Article
from newsletter.models import HealthTip, Schedule
from review import Clinician, ReviewRequest
from tests.articles.test_encoding import plain, written
from tests.articles.test_publishing import TEXT
from tests.house.roles.world import TOMORROW, World

Form = dict[str, Any]


def writing(button: str, **more: str) -> Callable[[World, Any], Form]:
    return lambda world, obj: {
        **{name: TEXT[name] for name in ("summary", "body")},
        "title": "A better title",
        **{
            f"{prefix}-{name}_FORMS": 0
            for prefix in ("care", "references")
            for name in ("TOTAL", "INITIAL")
        },
        button: "1",
        **more,
    }


def new_article(world: World, kind: Any) -> Form:
    policy = kind == Article.Kind.POLICY
    section = "" if policy else world.section.pk
    return {"slug": "new", "kind": kind, "section": section}


def furniture(world: World, article: Article) -> Form:
    return {"section": world.section.pk, "aliases": "tremor, jerk"}


def verdict(world: World, obj: ReviewRequest) -> Form:
    return {
        "verdict": "approved",
        "comment": "Read in full.",
        "conflicts_of_interest": "none",
        "months": "12",
        "digest": obj.digest,
        "sign": f"{obj.pk}-{obj.digest}",
    }


def chosen(world: World, obj: Any) -> Form:
    return {"clinician": world.cora.pk}


def saying(*names: str) -> Callable[[World, Any], Form]:
    return lambda world, obj: dict.fromkeys(names, "For a good reason.")


def planned(world: World, obj: Any) -> Form:
    return {"planned_for": f"{TOMORROW:%Y-%m-%dT%H:%M}"}


def upload(world: World, obj: Any) -> Form:
    image = written(plain(colour=(0, 90, 0)), "PNG")
    return {"picture": SimpleUploadedFile("green.png", image)}


def tip_text(world: World, tip: HealthTip) -> Form:
    return {
        "subject": "Sleep",
        "preheader": "A tip",
        "html": "<p>Sleep well.</p>",
        "cites": "live",
    }


def slot(world: World, obj: Schedule | None) -> Form:
    return {
        "name": "Monthly",
        "weekday": 2,
        "time_of_day": "10:00",
        "starts_at_0": "2026-01-01",
        "starts_at_1": "10:00",
    }


def credentials(world: World, obj: Clinician | None) -> Form:
    user = obj.user if obj else world.users["staff without a role"]
    return {
        "user": user.pk,
        "name": "Renamed",
        "credentials": "MD",
        "registration": "GMC 1",
        "credential_expires_at_0": "2030-01-01",
        "credential_expires_at_1": "00:00",
    }


def password(world: World, obj: User | None) -> Form:
    words = "correct horse battery"
    return {
        "username": "hired",
        "usable_password": "true",
        "password1": words,
        "password2": words,
    }


def account(world: World, obj: User) -> Form:
    return {"username": obj.username, "first_name": "Renamed", "is_staff": "on"}
