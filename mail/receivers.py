"""Two of Anymail's views without the packages of their providers.

Resend's would bring ten for one HMAC, Amazon's six for one request that a person makes
once (docs/decisions/0013-webhooks-without-sdks.md).
"""

import hmac
import re
import time
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import structlog
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.webhooks.amazon_ses import (
    AmazonSESBaseWebhookView,
    AmazonSESTrackingWebhookView,
)
from anymail.webhooks.resend import (
    ResendTrackingWebhookView,
    SvixWebhookValidationMixin,
)
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

log = structlog.get_logger(__name__)

# What the scheme allows a request to be late or early.
TOLERANCE_SECONDS = 300
SUBSCRIBE_URL = re.compile(r"https://sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/\?\S+")


class Resend(ResendTrackingWebhookView):  # type: ignore[misc]
    """Signed as the Standard Webhooks specification says (Svix wrote it)."""

    warn_if_no_basic_auth = False
    _svix_webhook = None

    def __init__(self, *, signing_secret: str) -> None:
        self._key = b64decode(signing_secret.removeprefix("whsec_"), validate=True)
        # Past the mixin that wants Svix's package.
        super(SvixWebhookValidationMixin, self).__init__()

    def validate_request(self, request: HttpRequest) -> None:
        told = [request.headers.get(f"svix-{name}", "") for name in ("id", "timestamp")]
        signed = ".".join(told).encode() + b"." + request.body
        expected = b64encode(hmac.digest(self._key, signed, sha256)).decode()
        offered = request.headers.get("svix-signature", "").split(" ")
        if not any(constant_time_compare(one, f"v1,{expected}") for one in offered):
            raise AnymailWebhookValidationFailure("wrong signature")
        if abs(time.time() - int(told[1])) > TOLERANCE_SECONDS:
            raise AnymailWebhookValidationFailure("signed at another time")


class AmazonSes(AmazonSESTrackingWebhookView):  # type: ignore[misc]
    """Amazon asks once whether it may send here; the answer is a person's."""

    def __init__(self, *, webhook_secret: str) -> None:
        # Past the base that wants boto3.
        super(AmazonSESBaseWebhookView, self).__init__(webhook_secret=webhook_secret)

    def auto_confirm_sns_subscription(self, sns_message: dict[str, Any]) -> None:
        url = str(sns_message.get("SubscribeURL", ""))
        if SUBSCRIBE_URL.fullmatch(url):
            log.warning("amazon asks for a yes: open this address once", url=url)
