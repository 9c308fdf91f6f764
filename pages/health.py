"""For operators and load balancers: is it alive, can it serve?"""

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from mail import why_held


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, its migrations and Redis are there; 503 says what is not.

    Mail that is held is no reason to take the pages off the net.
    """
    found = {"database": _database(), "redis": _redis()}
    ready = all(state == "ok" for state in found.values())
    return JsonResponse({**found, "mail": _mail()}, status=200 if ready else 503)


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "away"
    return "migrations are missing" if plan else "ok"


def _redis() -> str:
    try:
        cache.get("readyz")
    except (RedisError, OSError):
        return "away"
    return "ok"


def _mail() -> str:
    try:
        reason = why_held()
    except DatabaseError:
        return "unknown"
    return f"held, {reason}; manage.py adoptdatabase says more" if reason else "ok"
