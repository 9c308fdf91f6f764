"""The site's own settings with values that tests may know."""

import os

os.environ.update(
    {
        "DEMO": "0",
        "SITE_URL": "https://health.example",
        "SECRET_KEY": "tests only: fifty characters and more, so that checks pass",
        "CONSENT_KEY": "tests only: the key of links",
        "DATABASE_URL": "postgresql://twitchsite_app:x@localhost/twitchsite",
        "MIGRATION_DATABASE_URL": "postgresql://twitchsite_owner:x@localhost/x",
        "REDIS_URL": "redis://localhost:6379/0",
        "EMAIL_URL": "smtp://127.0.0.1:25",
        "MAIL_FROM": "twitchsite <tips@health.example>",
        "CONTACT_EMAIL": "hello@health.example",
        "POSTAL_ADDRESS": "1 Test Street, Testtown",
    }
)

from twitchsite.settings import *  # noqa: F403

# Pages are rendered without collecting static files first.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
