"""Web processes share nothing but PostgreSQL, and show the same pages without it."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from articles.editing import revise
from articles.models import Article, Revision
from articles.publishing import publish
from newsletter.models import SignUp
from pages.models import PublicVersion
from tests.articles.signed_page import TEXT, Site, approved, open_site
from tests.conftest import Servers, clone, drop, point_at
from tests.pages.web import away, web

PAGE = "/articles/muscle-twitching/"
NOWHERE = "redis://127.0.0.1:1/0"
SEEN_WITHIN_SECONDS = 1.0
AWAY_SECONDS = 5.0


@dataclass(frozen=True)
class Running:
    site: Site
    # With Redis, and without it.
    readers: list[httpx.Client]
    database: str


@pytest.fixture(scope="module")
def running(
    cluster: Servers,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    shared = str(connections["default"].settings_dict["NAME"])
    database = clone(cluster)
    with django_db_blocker.unblock():
        point_at(cluster, database)
        site = open_site()
        policies()
        folder = tmp_path_factory.mktemp("web")
        url = cluster.application_url(database)
        with web(url, folder, redis_urls=[cluster.redis_url(), NOWHERE]) as readers:
            yield Running(site, readers, database)
        point_at(cluster, shared)
    drop(cluster, database)


def policies() -> None:
    """Terms and privacy notice, without which there is no signing up."""
    for slug in ("terms", "privacy"):
        article = Article.objects.create(slug=slug, kind=Article.Kind.POLICY)
        revision, _ = revise(
            article, {**TEXT, "title": slug, "care_cards": []}, by=None
        )
        publish(revision)


def signed(site: Site, title: str) -> Revision:
    revision, _ = revise(site.article, {**TEXT, "title": title}, by=None)
    approved(revision, site.article.subject)
    return revision


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_publish_is_seen_in_every_process_within_a_second_with_or_without_redis(
    running: Running, turn: int
) -> None:
    title = f"Twitching, text {turn}"
    revision = signed(running.site, title)
    for reader in running.readers:
        assert title not in reader.get(PAGE).text

    publish(revision)
    begun = time.monotonic()

    waiting = list(running.readers)
    while waiting and time.monotonic() < begun + 10:
        waiting = [one for one in waiting if title not in one.get(PAGE).text]
    assert time.monotonic() - begun <= SEEN_WITHIN_SECONDS


def test_who_is_signed_in_sees_it_at_once(running: Running) -> None:
    for reader in running.readers:
        for turn in range(3):
            reader.get(PAGE)
            title = f"Twitching, {reader.base_url.port} {turn}"
            publish(signed(running.site, title))

            seen = reader.get(PAGE, headers={"Cookie": "sessionid=ediths"})

            assert title in seen.text


def test_all_processes_send_the_same_bytes(running: Running) -> None:
    time.sleep(SEEN_WITHIN_SECONDS)

    one, other = (reader.get(PAGE) for reader in running.readers)

    assert one.content == other.content
    assert one.headers["ETag"] == other.headers["ETag"]


def test_a_browser_that_has_the_page_is_told_so_over_the_wire(
    running: Running,
) -> None:
    reader = running.readers[0]
    got = reader.get(PAGE, headers={"Accept-Encoding": "br"})

    etag = got.headers["ETag"]
    again = reader.get(PAGE, headers={"Accept-Encoding": "br", "If-None-Match": etag})
    head = reader.head(PAGE, headers={"Accept-Encoding": "br"})

    assert got.headers["Content-Encoding"] == "br"
    assert (again.status_code, again.content) == (304, b"")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_s9_articles_are_read_while_the_database_is_away(
    cluster: Servers, running: Running
) -> None:
    """Warm pages all along; a kind 503 for the rest; and the site comes back."""
    for reader in running.readers:
        assert reader.get(PAGE).status_code == 200
    version = PublicVersion.objects.get().number
    before = SignUp.objects.count()
    connections.close_all()

    with away(cluster, running.database):
        ends = time.monotonic() + AWAY_SECONDS
        statuses = []
        while time.monotonic() < ends:
            statuses += [one.get(PAGE).status_code for one in running.readers]
        refused = [
            running.readers[0].get("/articles/nobody-read-this/"),
            running.readers[0].get("/newsletter/preferences/x/"),
            running.readers[0].get("/", params={"page": "2"}),
            *(
                one.post("/newsletter/", data={"email": "rosa@example.com"})
                for one in running.readers
            ),
        ]

    assert len(statuses) > 100
    assert set(statuses) == {200}
    for answer in refused:
        assert answer.status_code == 503
        assert "We will be back in a moment" in answer.text
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["Retry-After"] == "30"
        assert "Content-Security-Policy" in answer.headers
        assert not re.search(r"check your (inbox|email)|thank you", answer.text, re.I)
    assert SignUp.objects.count() == before

    publish(signed(running.site, "Twitching, after the break"))
    again = running.readers[0].post("/newsletter/", data={"email": "rosa@example.com"})
    time.sleep(3 * SEEN_WITHIN_SECONDS)
    assert again.status_code == 200
    assert SignUp.objects.count() == before + 1
    assert PublicVersion.objects.get().number > version
    for reader in running.readers:
        assert "after the break" in reader.get(PAGE).text
