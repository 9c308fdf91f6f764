import structlog
from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mail import webhooks
from mail.providers import PROVIDERS

log = structlog.get_logger(__name__)


@csrf_exempt
@never_cache
@require_http_methods(["HEAD", "POST"])
def hook(request: HttpRequest, provider: str) -> HttpResponse:
    """Where a provider tells what became of our mails.

    There is no cookie to protect: the secret or signature is asked each time. A page
    of another site still can't make a browser post here (`SameOriginGuard`).
    """
    secret = settings.WEBHOOKS.get(provider)
    if secret is None:
        raise Http404
    if request.method == "HEAD":
        # Some look whether anybody is there before they save the address.
        return HttpResponse()
    try:
        webhooks.take(request, PROVIDERS[provider], secret)
    except webhooks.NotProven:
        log.warning("webhook not proven", provider=provider)
        return _not_proven(provider)
    except webhooks.NotUnderstood as error:
        log.warning("webhook not understood", provider=provider, reason=str(error))
        return HttpResponse(status=400)
    except Error as error:
        # The provider tries again; what was noted before is noted once.
        log.error("webhook not taken", provider=provider, error=type(error).__name__)
        return HttpResponse(status=503, headers={"Retry-After": "60"})
    return HttpResponse()


def _not_proven(provider: str) -> HttpResponse:
    if not PROVIDERS[provider].asks_for_a_password:
        return HttpResponse(status=403)
    # Amazon sends the password only after it was asked for it.
    return HttpResponse(
        status=401, headers={"WWW-Authenticate": 'Basic realm="webhooks"'}
    )
