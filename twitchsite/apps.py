from django.apps import AppConfig


class TwitchsiteConfig(AppConfig):
    name = "twitchsite"
    verbose_name = "Site"

    def ready(self) -> None:
        from twitchsite import checks  # noqa: F401 - registers the checks
        from twitchsite.celery import app

        # Hints from web requests and commands go where the worker listens.
        app.set_default()
