"""Pictures: taken in once, re-encoded, named by their bytes, never changed."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from articles import encoding
from articles.content import Shown
from articles.models import Picture
from articles.refusals import Refused, kindly
from ledger import Redaction, attest


@kindly
@transaction.atomic
def take_in(upload: bytes, *, by: User) -> Picture:
    """The picture that `upload` shows, with its renditions; the same twice is one.

    Raises `encoding.BadPicture` with a sentence for the person who uploaded it, and
    Refused for one that was redacted.
    """
    first, *others = encoding.encode(upload)
    digests = [file.digest for file in (first, *others)]
    if Redaction.objects.filter(digest__in=digests).exists():
        raise Refused("This picture was taken away for a lawful reason.")
    known = _by_itself(first.digest)
    if known:
        return known
    try:
        with transaction.atomic():
            main = _keep(first, by=by, rendition_of=None)
    except IntegrityError:
        # Somebody sent the same at the same moment, and was first.
        return Picture.objects.get(digest=first.digest, rendition_of=None)
    for rendition in others:
        _keep(rendition, by=by, rendition_of=main)
    return main


def keep_drawing(digest: str, content: bytes, width: int, height: int) -> None:
    """One of the library's own SVG figures; safe to repeat."""
    if _by_itself(digest) is None:
        attest(
            Picture(
                digest=digest,
                media_type=Picture.Type.SVG,
                content=content,
                width=width,
                height=height,
            )
        )


def shown(digest: str) -> Sequence[Shown]:
    """The picture's renditions, the one to fall back on first; empty: unknown."""
    main = _by_itself(digest)
    if main is None:
        return []
    others = main.renditions.defer("content").order_by("media_type", "width")
    return [
        Shown(
            digest=one.digest,
            ending=Picture.ENDINGS[one.media_type],
            media_type=one.media_type,
            width=one.width,
            height=one.height,
        )
        for one in (main, *others)
    ]


def _by_itself(digest: str) -> Picture | None:
    return Picture.objects.filter(digest=digest, rendition_of=None).first()


def _keep(
    rendition: encoding.Rendition, *, by: User, rendition_of: Picture | None
) -> Picture:
    return attest(
        Picture(
            digest=rendition.digest,
            media_type=rendition.media_type,
            content=rendition.content,
            width=rendition.width,
            height=rendition.height,
            rendition_of=rendition_of,
            uploaded_by=by,
        )
    )
