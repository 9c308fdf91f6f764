from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """`site` in every template: the same for every reader."""
    return {
        "site": {
            "name": settings.SITE_NAME,
            "url": settings.SITE_URL,
            "demo": settings.DEMO,
            "postal_address": settings.POSTAL_ADDRESS,
        }
    }
