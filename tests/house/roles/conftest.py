import logging
from collections.abc import Iterator
from contextlib import ExitStack
from unittest.mock import patch

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from pytest_django import DjangoDbBlocker

from tests.house.roles.world import World, undone


@pytest.fixture(scope="package")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Made once, in a transaction that is never committed."""
    with ExitStack() as stack:
        # Two thousand refusals: the whole page round each of them takes too long.
        bare = patch("twitchsite.urls.handler403", refuse, create=True)
        stack.enter_context(bare)
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(undone())
        yield World()


def refuse(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponseForbidden()


@pytest.fixture
def world(made: World) -> Iterator[World]:
    """As it was made, whatever the tests before have done to it."""
    # Refusals are what is wanted here: no need to log each.
    logging.disable(logging.WARNING)
    with made.unharmed():
        yield made
    logging.disable(logging.NOTSET)
