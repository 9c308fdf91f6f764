"""The cast: names everybody knows. Editor Edith, clinician Carla, reader Rosa."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from review import Clinician


def person(username: str, role: str = "", **changes: Any) -> User:
    """A member of staff; `role` is one of the groups that the migrations make."""
    fields = {
        "is_staff": True,
        "email": f"{username}@staff.health.example",
        **changes,
    }
    user, _ = User.objects.get_or_create(username=username, defaults=fields)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def edith() -> User:
    return person("edith", "editor")


def carla(**changes: Any) -> Clinician:
    """The clinician; another `username` makes a colleague of hers."""
    username = changes.pop("username", "carla")
    fields = {
        "name": f"{username.title()} Example",
        "credentials": "MB ChB, neurologist",
        "registration": "GMC 0000000",
        "credential_expires_at": timezone.now() + timedelta(days=900),
        **changes,
    }
    user = person(username, "clinician")
    clinician, _ = Clinician.objects.get_or_create(user=user, defaults=fields)
    return clinician
