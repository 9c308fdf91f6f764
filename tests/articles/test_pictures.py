"""A picture is taken in once, whoever sends it how often; what went stays away."""

import io
from functools import partial
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from articles import encoding
from articles.editing import revise
from articles.models import Picture
from articles.pictures import take_in
from ledger import attest
from ledger.redacting import redact
from tests.articles.test_desk import HTTPS, browser, png
from tests.articles.test_publishing import TEXT, make_article
from tests.people import edith
from tests.racing import TIMES, at_once


def test_what_is_a_size_of_another_picture_is_one_by_itself_too(db: None) -> None:
    other = take_in(png(1200, 800), by=edith())
    first, *_ = encoding.encode(png())
    attest(
        Picture(
            digest=first.digest,
            media_type=first.media_type,
            content=first.content,
            width=first.width,
            height=first.height,
            rendition_of=other,
        )
    )

    taken = take_in(png(), by=edith())

    assert taken.rendition_of is None
    image = f'<figure><img src="{taken.get_absolute_url()}" alt="A wall"></figure>'
    revise(make_article(), {**TEXT, "body": f"<p>x</p>{image}"}, by=None)
    shown = Client(headers=HTTPS).get(taken.get_absolute_url())
    assert shown.content == first.content


def test_the_same_picture_sent_at_once_is_one(cloned_database: str) -> None:
    sender = edith()
    for number in range(TIMES):
        upload = png(64 + number)

        ends = at_once(*[partial(take_in, upload, by=sender)] * 3)

        (made,) = set(ends)
        assert isinstance(made, Picture)
        assert made.renditions.count() == 2
        assert Picture.objects.filter(rendition_of=None).count() == number + 1


@pytest.fixture
def desk(cloned_database: str, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    return browser(edith())


@pytest.mark.parametrize("which", [0, 1], ids=["the picture", "one of its sizes"])
def test_a_picture_that_was_taken_away_does_not_come_back(
    desk: Client, which: int
) -> None:
    take_in(png(), by=edith())
    gone = encoding.encode(png())[which]
    redact(gone.digest, reason="A court asked for it.", using="owner")
    upload = io.BytesIO(png())
    upload.name = "wall.png"

    answer = desk.post(reverse("admin:articles_picture_add"), {"picture": upload})

    page = answer.content.decode()
    assert "This picture was taken away for a lawful reason." in page
