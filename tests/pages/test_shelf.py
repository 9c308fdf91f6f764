"""Memory is bounded, whatever is asked for."""

import tracemalloc

import pytest

from pages.pagestore import KEPT
from pages.ready import OVERHEAD, Page
from pages.shelf import Shelf
from tests.pages.asking import ARTICLE, TEXT, Django, ask, made
from tests.racing import at_once

MEGABYTE = 1024 * 1024


def page(size: int) -> Page:
    return Page(1, 0.0, {}, size)


def test_the_least_used_page_goes_first() -> None:
    shelf = Shelf(800)
    for name in "abcdefgh":
        shelf.put(name, page(100))
    shelf.get("a")

    shelf.put("i", page(100))

    assert shelf.get("b") is None
    assert shelf.get("a") is not None
    assert shelf.size == 800


def test_a_page_takes_the_place_of_its_older_self() -> None:
    shelf = Shelf(800)
    shelf.put("a", page(100))
    shelf.put("a", page(50))
    assert (len(shelf), shelf.size) == (1, 50)

    shelf.drop("a")
    shelf.drop("a")
    assert (len(shelf), shelf.size) == (0, 0)


def test_one_page_never_crowds_out_the_others() -> None:
    shelf = Shelf(800)
    shelf.put("a", page(100))
    shelf.put("a", page(101))

    assert len(shelf) == 0


def test_a_million_addresses_take_no_more_than_they_may() -> None:
    shelf = Shelf(MEGABYTE)
    one = page(OVERHEAD)

    for number in range(1_000_000):
        shelf.put(f"/articles/{number}/", one)

    assert shelf.size <= MEGABYTE
    assert len(shelf) == MEGABYTE // OVERHEAD


def test_the_store_is_bounded_in_true_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEPT, "articles:article", ("page",))
    django = Django()
    store = made(django, most_bytes=MEGABYTE // 2)
    # Every page its own bytes.
    django.before = lambda: setattr(django, "body", TEXT + b"%d" % len(django.asked))
    ask(store, query="page=0")

    tracemalloc.start()
    for number in range(800):
        ask(store, query=f"page={number}")
        django.asked.clear()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 40 < len(store.shelf) < 800
    assert store.shelf.size <= MEGABYTE // 2
    assert held < MEGABYTE


def test_a_flood_of_404s_evicts_nothing() -> None:
    django = Django()
    store = made(django, most_bytes=MEGABYTE)
    ask(store)
    django.status = "404 Not Found"

    for number in range(2_000):
        ask(store, f"/articles/nothing-{number}/")

    django.asked.clear()
    assert ask(store, ARTICLE).status == 200
    assert django.asked == []
    assert not store._renderings


@pytest.mark.django_db
def test_many_hands_keep_count() -> None:
    shelf = Shelf(5_000)

    def work() -> None:
        for number in range(3_000):
            shelf.put(str(number % 97), page(100 + number % 7))
            shelf.get(str(number % 89))
            shelf.drop(str(number % 83))

    assert at_once(*[work] * 6) == [None] * 6
    assert shelf.size == sum(one.size for one in shelf._pages.values()) <= 5_000
