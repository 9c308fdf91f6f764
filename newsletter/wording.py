"""The words of the box. Changing them makes a new Wording; old consents keep theirs."""

from hashlib import sha256

from django.db import IntegrityError, transaction

from ledger import attest, canonical_json
from newsletter.models import Wording

LOCALE = "en-GB"
PURPOSE = (
    "Get health tips, patient stories and important resources from twitchsite by "
    "email, about once a week. You can leave at any time with one click."
)
AGREEMENT = "By clicking “Subscribe” you agree to our Terms of Use"
BUTTON = "Subscribe"
# Of the page that a mail to people from another list leads to.
PERMISSION_BUTTON = "Yes, confirm my subscription"


def current() -> Wording:
    """The wording that the box shows now; made at its first use."""
    return _known(_of_the_box())


def of_permission() -> Wording:
    """What people from another list are asked; nothing is said of Terms there."""
    return _known(permission_text())


def shown_now() -> set[str]:
    """The digests of the words that people can agree to today."""
    return {digest_of(LOCALE, text) for text in (_of_the_box(), permission_text())}


def _of_the_box() -> dict[str, str]:
    return {"purpose": PURPOSE, "agreement": AGREEMENT, "button": BUTTON}


def permission_text() -> dict[str, str]:
    """As `of_permission`, to be shown: looking at it makes no evidence."""
    return {"purpose": PURPOSE, "agreement": "", "button": PERMISSION_BUTTON}


def _known(text: dict[str, str]) -> Wording:
    digest = digest_of(LOCALE, text)
    known = Wording.objects.filter(digest=digest).first()
    return known or _first_use(digest, text)


def digest_of(locale: str, text: dict[str, str]) -> str:
    """SHA-256, hexadecimal, over the canonical words and their language."""
    return sha256(canonical_json({"locale": locale, **text})).hexdigest()


def _first_use(digest: str, text: dict[str, str]) -> Wording:
    try:
        with transaction.atomic():
            return attest(Wording(digest=digest, locale=LOCALE, text=text))
    except IntegrityError:
        # Another process showed the box for the first time just now.
        return Wording.objects.get(digest=digest)
