"""The door for web servers: `granian --interface wsgi twitchsite.wsgi:application`."""

import os
from wsgiref.headers import Headers

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from servestatic import ServeStatic

from pages.pagestore import PageStore
from twitchsite.middleware import HEADERS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitchsite.settings")

# A picture or style sheet that is opened as a page runs and loads nothing.
STATIC_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
if settings.SECURE_SSL_REDIRECT:
    seconds = settings.SECURE_HSTS_SECONDS
    STATIC_HEADERS["Strict-Transport-Security"] = (
        f"max-age={seconds}; includeSubDomains; preload"
    )


def _protect(headers: Headers, path: str, url: str) -> None:
    for name, value in STATIC_HEADERS.items():
        headers[name] = value


def _readable() -> list[str]:
    # It has models, which wait for Django.
    from pages import machines

    return [one.path for one in machines.places()]


# In front of Django rather than its middleware, which would take every request through
# an event loop and threads.
application = ServeStatic(
    PageStore(
        get_wsgi_application(),
        most_bytes=settings.PAGE_STORE_MEGABYTES * 1024 * 1024,
        addresses=_readable,
    ),
    root=settings.STATIC_ROOT,
    prefix=settings.STATIC_URL,
    allow_all_origins=False,
    add_headers_function=_protect,
)
