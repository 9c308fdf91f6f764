"""What readers see has a version: it grows in the commit that changes it."""

import time
from collections.abc import Callable, Iterator

import pytest
from django.db import IntegrityError, connection, transaction

from articles.editing import revise, start_draft
from articles.models import Article, FormerSlug, Section
from articles.publishing import correct, publish, withdraw
from ledger.redacting import redact
from pages.models import PublicVersion
from pages.polling import Poller
from pages.public_version import TRIGGER, WATCHED
from review import SignOff
from tests.articles.signed_page import TEXT, Site, approved, open_site
from tests.conftest import Servers
from tests.pages.web import away
from tests.racing import at_once


@pytest.fixture
def site(cloned_database: str) -> Site:
    return open_site()


@pytest.fixture
def poller(cloned_database: str) -> Iterator[Poller]:
    one = Poller()
    yield one
    one.hang_up()


def version() -> int:
    return PublicVersion.objects.get().number


def move(site: Site) -> None:
    site.article.slug = "twitches"
    with transaction.atomic():
        FormerSlug.objects.create(slug="muscle-twitching", article=site.article)
        site.article.save(update_fields=["slug"])


def republish(site: Site) -> None:
    revision, _ = revise(site.article, {**TEXT, "title": "Twitching"}, by=None)
    approved(revision, site.article.subject)
    publish(revision)


CHANGES: dict[str, Callable[[Site], object]] = {
    "a publish": republish,
    "a withdrawal": lambda site: withdraw(site.article, reason="It is wrong."),
    "a correction note": lambda site: correct(site.article, note="It was 5 mg."),
    "a retraction": lambda site: approved(
        site.live, site.article.subject, verdict=SignOff.Verdict.RETRACTED
    ),
    "a redaction": lambda site: redact(
        site.live.digest, reason="A court asked.", using="owner"
    ),
    "a moved address": move,
    "a section's new name": lambda site: Section.objects.update(title="Conditions"),
    "read next": lambda site: Article.objects.update(read_next=["lip-twitching"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_grows_with_everything_that_readers_see(site: Site, change: str) -> None:
    before = version()

    CHANGES[change](site)

    assert version() > before


def test_it_does_not_grow_with_what_nobody_sees(site: Site) -> None:
    before = version()

    revise(site.article, {**TEXT, "title": "Not published yet"}, by=None)
    start_draft(site.article, by=site.edith)

    assert version() == before


def test_it_grows_once_a_commit_and_only_there(site: Site) -> None:
    before = version()

    with transaction.atomic():
        for number in range(5):
            FormerSlug.objects.create(slug=f"s{number}", article=site.article)
        assert version() == before

    assert version() == before + 1


def test_it_does_not_grow_with_what_was_rolled_back(site: Site) -> None:
    before = version()

    with transaction.atomic():
        Section.objects.create(slug="plan", title="Plan")
        transaction.set_rollback(True)

    assert version() == before


def test_two_who_publish_at_once_both_count_and_wait_only_for_the_commit(
    site: Site,
) -> None:
    before = version()

    def slowly(slug: str) -> None:
        with transaction.atomic():
            FormerSlug.objects.create(slug=slug, article=site.article)
            time.sleep(0.5)

    begun = time.monotonic()
    ends = at_once(*[lambda slug=slug: slowly(slug) for slug in "abcd"])

    assert ends == [None] * 4
    assert version() == before + 4
    # In turn it would be two seconds.
    assert time.monotonic() - begun < 1.5


def test_every_watched_table_has_its_trigger(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger "
            "WHERE tgname = %s AND tgenabled = 'O' AND tgdeferrable AND tginitdeferred",
            [TRIGGER],
        )
        found = {row[0] for row in cursor.fetchall()}

    assert found == set(WATCHED)


# --- Who asks for it ---------------------------------------------------------------


def test_the_poller_learns_of_a_change(poller: Poller, site: Site) -> None:
    assert poller.is_away()

    poller.poll()
    assert (poller.number, poller.is_away()) == (version(), False)

    republish(site)
    poller.poll()
    assert poller.number == version()


def test_the_poller_survives_a_database_that_goes_and_comes(
    cluster: Servers, poller: Poller, cloned_database: str
) -> None:
    poller.poll()
    number = poller.number
    connection.close()

    with away(cluster, cloned_database):
        poller.poll()
        assert poller.number == number
    poller.poll()

    assert not poller.is_away()


def test_the_poller_survives_what_nobody_thought_of(
    poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:

    with monkeypatch.context() as broken:
        broken.setattr("pages.polling._connect", lambda: 1 / 0)
        poller.poll()
    assert poller.is_away()

    poller.poll()
    assert not poller.is_away()


def test_the_pollers_question_is_prepared(poller: Poller) -> None:
    poller.poll()
    poller.poll()

    assert poller._connection is not None
    prepared = poller._connection.execute(
        "SELECT statement FROM pg_prepared_statements"
    ).fetchall()
    assert ("SELECT number FROM pages_publicversion",) in prepared


def test_one_row_and_no_other(db: None) -> None:
    with pytest.raises(IntegrityError, match="pages_publicversion_one_row"):
        PublicVersion.objects.create(pk=2)
