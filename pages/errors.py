"""What is said when something went wrong on our side."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers

RETRY_AFTER_SECONDS = 30
# What a database raises that is away, ending or out of means (PEP 249): nobody's bug.
PASSING = (OperationalError, InterfaceError)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 and when to come back while the database is away, 500 for a mistake of ours.

    Both are made without one, and neither claims that nothing was done: a commit may
    have been the last thing before.
    """
    away = isinstance(sys.exception(), PASSING)
    status = 503 if away else 500
    response = HttpResponse(render_to_string(f"{status}.html"), status=status)
    if away:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    add_never_cache_headers(response)
    return response
