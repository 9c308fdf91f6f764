"""A public page is made once, is the same for everybody, and never another one's."""

import gzip
import time
from collections.abc import Callable
from email.utils import formatdate
from threading import Event

import brotli
import pytest
from pytest_django import Settings

from pages import pagestore, ready
from pages.pagestore import PageStore
from tests.pages.asking import ARTICLE, HTML, TEXT, Django, Told, ask, made
from tests.racing import at_once

# Threads of `at_once` have a connection each.
pytestmark = pytest.mark.django_db
ETAGS = {"": "", "br": "-br", "gzip": "-gzip"}


@pytest.fixture
def django() -> Django:
    return Django()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def store(django: Django, told: Told) -> PageStore:
    return made(django, told)


def test_a_page_is_made_once(store: PageStore, django: Django) -> None:
    first, second = ask(store), ask(store)

    assert first.body == second.body == TEXT
    assert first.headers.items() == second.headers.items()
    assert len(django.asked) == 1


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, ""),
        ("", ""),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip"),
        ("BR", "br"),
        ("*", "br"),
        ("*;q=0", ""),
        ("gzip;q=0, identity", ""),
        ("gzip;q=much", ""),
        (";;;,,=", ""),
    ],
)
def test_a_browser_gets_the_coding_that_it_asks_for(
    store: PageStore, accepted: str | None, coding: str
) -> None:
    got = ask(store, **({"HTTP_ACCEPT_ENCODING": accepted} if accepted else {}))

    decode: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "br": brotli.decompress,
        "gzip": gzip.decompress,
    }
    assert got.headers.get("Content-Encoding", "") == coding
    assert decode[coding](got.body) == TEXT
    assert got.headers["Content-Length"] == str(len(got.body))
    assert got.headers["Vary"] == "Accept-Encoding"
    assert got.headers["ETag"].endswith(f'{ETAGS[coding]}"')


def test_each_representation_has_a_strong_etag_of_its_own(store: PageStore) -> None:
    etags = {ask(store, HTTP_ACCEPT_ENCODING=one).headers["ETag"] for one in ETAGS}

    assert len(etags) == 3
    assert not any(etag.startswith("W/") for etag in etags)


def test_the_etag_follows_the_bytes(django: Django, told: Told) -> None:
    store = made(django, told)
    before = ask(store).headers["ETag"]

    told.number = 2
    assert ask(store).headers["ETag"] == before

    told.number, django.body = 3, TEXT + b"!"
    assert ask(store).headers["ETag"] != before


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_the_page_is_told_so(store: PageStore, method: str, known: str) -> None:
    etag = ask(store).headers["ETag"]

    got = ask(store, method=method, HTTP_IF_NONE_MATCH=known.format(etag))

    assert (got.status, got.body) == (304, b"")
    assert got.headers["ETag"] == etag
    assert got.headers["Cache-Control"] == ready.PUBLIC
    assert got.headers["Vary"] == "Accept-Encoding"
    assert "Content-Length" not in got.headers


@pytest.mark.parametrize("known", ["", '"other"', "{}x", "nonsense", '"a", *'])
def test_who_has_another_page_gets_this_one(store: PageStore, known: str) -> None:
    etag = ask(store).headers["ETag"]

    got = ask(store, HTTP_IF_NONE_MATCH=known.format(etag))

    assert (got.status, got.body) == (200, TEXT)


def test_head_is_get_without_the_body(store: PageStore) -> None:
    got, head = ask(store), ask(store, method="HEAD")

    assert head.body == b""
    assert head.headers.items() == got.headers.items()


def test_a_cache_in_between_may_keep_it_for_seconds(store: PageStore) -> None:
    assert ask(store).headers["Cache-Control"] == (
        "public, max-age=0, s-maxage=5, stale-while-revalidate=5, stale-if-error=3600"
    )


def test_a_view_may_know_better_how_long_caches_may_keep_it(django: Django) -> None:
    immutable = "public, max-age=31536000, immutable"
    django.headers.append(("Cache-Control", immutable))

    assert ask(made(django)).headers["Cache-Control"] == immutable


def test_pictures_are_not_compressed(django: Django) -> None:
    django.headers = [("Content-Type", "image/avif")]

    got = ask(made(django), HTTP_ACCEPT_ENCODING="br")

    assert "Content-Encoding" not in got.headers
    assert "Vary" not in got.headers


# --- What is not kept ------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
def test_only_reading_is_answered(
    store: PageStore, django: Django, method: str
) -> None:
    ask(store)

    ask(store, method=method)

    assert django.asked[-1]["REQUEST_METHOD"] == method


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/admin/", ""),
        ("/healthz", ""),
        ("/newsletter/unsubscribe/token/", ""),
        ("/newsletter/preferences/token/", ""),
        ("/nowhere/", ""),
        ("/articles/a/b/c/", ""),
        (ARTICLE, "x=1"),
        (ARTICLE, "page"),
        (ARTICLE, "%00"),
        ("//articles/muscle-twitching/", ""),
    ],
)
def test_other_addresses_pass_through_as_they_are(
    store: PageStore, django: Django, path: str, query: str
) -> None:
    for _ in range(2):
        ask(store, path, query=query, HTTP_COOKIE="sessionid=1")

    assert [one.get("HTTP_COOKIE") for one in django.asked] == ["sessionid=1"] * 2
    assert len(store.shelf) == 0


def test_a_query_key_that_the_view_names_makes_a_page_of_its_own(
    store: PageStore, django: Django, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pagestore.KEPT, "articles:article", ("page", "q"))

    for query in ["", "page=2", "page=3", "page=2&q=a+b"] * 2:
        ask(store, query=query)
    for query in ["page=2&page=2", "q=a&page=2", "page=%32", "page=2&x=1", "page"]:
        ask(store, query=query)

    assert len(store.shelf) == 4
    assert len(django.asked) == 4 + 5


@pytest.mark.parametrize(
    "header",
    [
        ("Set-Cookie", "sessionid=1"),
        ("Cache-Control", "private"),
        ("Cache-Control", "max-age=0, no-cache, no-store, must-revalidate, private"),
        ("Cache-Control", "No-Store"),
        ("Vary", "Cookie"),
        ("Vary", "Accept-Encoding, cookie"),
        ("Vary", "*"),
    ],
)
def test_what_is_one_persons_is_not_kept(
    django: Django, header: tuple[str, str]
) -> None:
    django.headers.append(header)
    store = made(django)

    got = [ask(store), ask(store)]

    assert got[0].headers[header[0]] == header[1]
    assert len(django.asked) == 2
    assert len(store.shelf) == 0


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "404 Not Found", "410 Gone", "500 X", "503 X"]
)
def test_only_a_page_that_is_there_is_kept(django: Django, status: str) -> None:
    django.status = status
    store = made(django)

    got = [ask(store), ask(store, method="HEAD")]

    assert {one.status for one in got} == {int(status[:3])}
    assert [one.body for one in got] == [TEXT, b""]
    assert len(django.asked) == 2
    assert len(store.shelf) == 0


# --- The same for everybody --------------------------------------------------------


def test_a_page_is_made_for_nobody(store: PageStore, django: Django) -> None:
    ask(
        store,
        HTTP_COOKIE="sessionid=ediths",
        HTTP_USER_AGENT="mine",
        HTTP_AUTHORIZATION="Basic x",
        HTTP_X_FORWARDED_FOR="203.0.113.9",
        HTTP_ACCEPT_LANGUAGE="de",
        REMOTE_ADDR="203.0.113.9",
    )

    (asked,) = django.asked
    assert "mine" not in asked.values()
    assert "203.0.113.9" not in asked.values()
    assert {name for name in asked if name.startswith("HTTP_")} == {
        "HTTP_HOST",
        "HTTP_X_FORWARDED_PROTO",
    }


def test_staff_get_the_readers_bytes(store: PageStore, django: Django) -> None:
    readers = ask(store)

    staff = ask(store, HTTP_COOKIE="sessionid=ediths")

    assert staff == readers or staff.body == readers.body
    assert staff.headers.items() == readers.headers.items()
    assert len(django.asked) == 1


def test_whoever_has_a_cookie_waits_for_the_newest_version(
    store: PageStore, django: Django, told: Told
) -> None:
    ask(store)
    asked = told.asked

    ask(store)
    assert told.asked == asked

    ask(store, HTTP_COOKIE="sessionid=ediths")
    assert told.asked == asked + 1


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": ""},
        {"HTTP_HOST": "health.example@evil.example"},
        {"HTTP_HOST": "health.example.evil.example:80"},
        {"HTTP_X_FORWARDED_PROTO": "http"},
        {"HTTP_X_FORWARDED_PROTO": ""},
    ],
)
def test_strange_hosts_and_plain_http_are_djangos_to_refuse(
    store: PageStore,
    django: Django,
    settings: Settings,
    headers: dict[str, str],
) -> None:
    ask(store)

    ask(store, **headers)

    assert len(django.asked) == 2
    assert {**django.asked[-1], **headers} == django.asked[-1]


def test_the_pages_host_is_ours_whatever_name_was_asked_for(
    django: Django, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["health.example", "inside.example"]
    pagestore._is_own_host.cache_clear()

    ask(made(django), HTTP_HOST="inside.example:8000")

    assert django.asked[0]["HTTP_HOST"] == "health.example"
    pagestore._is_own_host.cache_clear()


# --- How long --------------------------------------------------------------------


def test_another_version_makes_it_anew(
    store: PageStore, django: Django, told: Told
) -> None:
    ask(store)
    told.number, django.body = 2, b"new"

    assert ask(store).body == b"new"
    assert len(django.asked) == 2


def test_a_change_during_the_rendering_is_not_missed(
    store: PageStore, django: Django, told: Told
) -> None:
    django.before = lambda: setattr(told, "number", 2)
    ask(store)
    django.before = lambda: None

    ask(store)
    ask(store)

    assert len(django.asked) == 2


def test_it_is_made_anew_after_some_minutes(
    store: PageStore, django: Django, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    ask(store)

    monkeypatch.setattr(pagestore, "time", lambda: now + pagestore.FRESH_SECONDS - 1)
    ask(store)
    assert len(django.asked) == 1

    monkeypatch.setattr(pagestore, "time", lambda: now + pagestore.FRESH_SECONDS + 1)
    ask(store)
    assert len(django.asked) == 2


def test_what_was_made_right_after_a_change_is_made_once_more(
    store: PageStore, django: Django, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of who published may be ahead of ours."""
    told.changed_at = now = time.time()
    ask(store)
    ask(store)
    assert len(django.asked) == 1

    monkeypatch.setattr(pagestore, "time", lambda: now + 6)
    ask(store)
    monkeypatch.setattr(pagestore, "time", lambda: now + 200)
    ask(store)

    assert len(django.asked) == 2


@pytest.mark.parametrize(
    ("says", "fresh_for"),
    [(60, 60), (100_000, 300), (-60, 1), (None, 300)],
)
def test_a_view_says_by_expires_when_its_page_changes_by_itself(
    says: int | None, fresh_for: float
) -> None:
    now = float(int(time.time()))
    expires = "nonsense" if says is None else formatdate(now + says, usegmt=True)
    answer = ready.Answer("200 OK", [HTML, ("Expires", expires)], TEXT)

    page = ready.page(answer, version=1, asked_at=now, fresh_until=now + 300)

    assert page.fresh_until == now + fresh_for
    assert "Expires" not in dict(page.codings[""].headers)


# --- Many at once, and failures ------------------------------------------------


def test_a_stampede_asks_django_once(store: PageStore, django: Django) -> None:
    django.before = lambda: time.sleep(0.2)

    got = at_once(*[lambda: ask(store).body] * 12)

    assert got == [TEXT] * 12
    assert len(django.asked) == 1


def test_pages_do_not_wait_for_each_other(store: PageStore, django: Django) -> None:
    others = Event()

    def before() -> None:
        if django.asked[-1]["PATH_INFO"] == "/":
            others.set()
        else:
            assert others.wait(5)

    django.before = before

    got = at_once(lambda: ask(store).status, lambda: ask(store, "/").status)

    assert got == [200, 200]


def test_if_one_fails_to_render_the_next_one_tries(
    store: PageStore, django: Django
) -> None:
    def before() -> None:
        time.sleep(0.1)
        django.status = "500 X" if len(django.asked) == 1 else "200 OK"

    django.before = before

    got = at_once(*[lambda: ask(store).status] * 6)

    assert sorted(got) == [200] * 5 + [500]
    assert len(django.asked) == 2


def test_an_exception_frees_those_who_wait(store: PageStore, django: Django) -> None:
    def before() -> None:
        time.sleep(0.1)
        if len(django.asked) == 1:
            raise ZeroDivisionError

    django.before = before

    got = at_once(*[lambda: ask(store).status] * 4)

    assert [one for one in got if one == 200] == [200] * 3
    assert ask(store).status == 200


def test_those_who_wait_share_a_404_but_never_a_cookie(
    store: PageStore, django: Django
) -> None:
    django.before = lambda: time.sleep(0.2)
    django.status = "404 Not Found"
    at_once(*[lambda: ask(store)] * 4)
    assert len(django.asked) == 1

    django.headers.append(("Set-Cookie", "sessionid=1"))
    at_once(*[lambda: ask(store)] * 4)
    assert len(django.asked) == 5


def test_nobody_waits_for_ever(
    store: PageStore, django: Django, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who renders hangs: the others get the copy that is there."""
    monkeypatch.setattr(pagestore, "PATIENCE_SECONDS", 0.2)
    ask(store)
    told.number, stuck = 2, Event()
    django.before = lambda: stuck.wait(5)

    def hang() -> int:
        return ask(store).status

    def reader() -> bytes:
        time.sleep(0.1)
        got = ask(store).body
        stuck.set()
        return got

    assert at_once(hang, reader) == [200, TEXT]


# --- The database is away ----------------------------------------------------------


def test_s9_the_copy_at_hand_is_shown_while_the_database_is_away(
    store: PageStore, django: Django, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(store)
    told.away, told.number = True, 7
    monkeypatch.setattr(pagestore, "time", lambda: time.time() + 10_000)

    assert ask(store).body == TEXT
    assert len(django.asked) == 1


def test_s9_the_copy_is_shown_when_the_rendering_finds_the_database_away(
    store: PageStore, django: Django, told: Told
) -> None:
    ask(store)
    told.number, django.status = 2, "503 Service Unavailable"

    assert ask(store).status == 200


def test_a_mistake_of_ours_shows_no_old_text(
    store: PageStore, django: Django, told: Told
) -> None:
    """The new state may be that the old text was withdrawn."""
    ask(store)
    told.number, django.status = 2, "500 X"

    assert ask(store).status == 500
    assert len(store.shelf) == 0


@pytest.mark.parametrize("status", ["404 X", "410 X", "301 X"])
def test_what_was_withdrawn_does_not_come_back_when_the_database_goes(
    store: PageStore, django: Django, told: Told, status: str
) -> None:
    ask(store)
    told.number, django.status = 2, status
    ask(store)

    told.away, django.status = True, "503 X"

    assert ask(store).status == 503
