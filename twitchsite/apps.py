from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TwitchsiteConfig(AppConfig):
    name = "twitchsite"
    verbose_name = "Site"

    def ready(self) -> None:
        from twitchsite import checks  # noqa: F401 - registers the checks

        post_migrate.connect(_grant, sender=self)


def _grant(*, using: str, **kwargs: Any) -> None:
    from twitchsite.roles import grant_application_role

    grant_application_role(using)
