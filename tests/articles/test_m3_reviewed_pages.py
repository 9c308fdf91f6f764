"""M3: every reviewed page carries what makes a health page trustworthy."""

import re
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from articles.loading import load
from articles.models import Article
from articles.publishing import publish
from tests.articles.test_publishing import approve

LINK = re.compile(r'href="(/[^"#?]*)[^"]*"')


@pytest.fixture
def reader(db: None, settings: Settings, tmp_path: Path) -> Client:
    """A browser on a site whose whole library was signed and published."""
    settings.STATIC_ROOT = tmp_path
    for revision, _ in load(operator_fact=lambda fact: f"(example: {fact})"):
        if revision.article.kind != Article.Kind.POLICY:
            approve(revision)
        publish(revision)
    return Client(headers={"X-Forwarded-Proto": "https"})


def crawled(reader: Client) -> dict[str, str]:
    """Every page that links lead to from the home page, by its path."""
    found: dict[str, str] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path in found or path.startswith(("/static/", "/dev/")):
            continue
        answer = reader.get(path)
        assert answer.status_code == 200, path
        found[path] = answer.content.decode(errors="replace")
        if answer["Content-Type"].startswith("text/html"):
            waiting += LINK.findall(found[path])
    return found


def test_m3_every_reviewed_page_has_all_that_a_reader_needs(reader: Client) -> None:
    pages = crawled(reader)
    articles = {
        path: page
        for path, page in pages.items()
        if re.fullmatch(r"/articles/[a-z-]+/", path)
    }

    assert len(articles) == Article.objects.medical().count()
    for path, page in articles.items():
        text = unescape(re.sub(r"<[^>]+>", " ", page))
        missing = [
            what
            for what, is_there in {
                "sources": '<li id="ref-1">' in page,
                "author": "Written by" in text,
                "review": "Medically reviewed by" in text,
                "review date": "Page last reviewed:" in text,
                "next review": "Next review due:" in text,
                "no substitute": "does not replace care from a doctor" in text,
                "contact": "/about/contact/" in page and "mailto:" in page,
                "funding": "/about/funding/" in page,
            }.items()
            if not is_there
        ]
        assert missing == [], path


def test_m3_what_was_signed_can_be_computed_by_anybody(reader: Client) -> None:
    record = reader.get("/articles/muscle-twitching/review/").content.decode()
    path = re.search(r'href="([^"]+\.json)"', record)
    assert path is not None

    text = reader.get(path[1]).content

    assert sha256(text).hexdigest() in path[1]
    assert f'<p class="digest">{sha256(text).hexdigest()}</p>' in record
