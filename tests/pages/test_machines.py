"""What programs are told: where the pages are, and what may be fetched."""

import json
import re
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from django.test import Client

from articles.models import Article, Section
from articles.publishing import withdraw
from tests.articles.signed_page import SLUG, open_site, words

SITE = "https://health.example"
LOC = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"


@pytest.fixture
def robot(db: None) -> Client:
    open_site()
    Section.objects.create(slug="discover", title="Discover", introduction="News.")
    return Client(headers={"host": "health.example", "x-forwarded-proto": "https"})


def text_at(robot: Client, path: str) -> str:
    return robot.get(path).content.decode()


def in_sitemap(robot: Client) -> list[str]:
    tree = ElementTree.fromstring(text_at(robot, "/sitemap.xml"))  # noqa: S314
    return [urlsplit(one.text or "").path for one in tree.iter(LOC)]


def test_the_sitemap_names_every_page_once_and_each_answers(robot: Client) -> None:
    paths = in_sitemap(robot)

    assert {"/", "/about/", "/conditions/", "/trust/", f"/articles/{SLUG}/"} <= {*paths}
    assert len(paths) == len({*paths})
    assert {robot.get(one).status_code for one in paths} == {200}


def test_what_is_withdrawn_leaves_sitemap_and_llms_txt(robot: Client) -> None:
    assert SLUG in text_at(robot, "/llms.txt")

    withdraw(Article.objects.get(slug=SLUG), reason="Dangerous.")

    assert f"/articles/{SLUG}/" not in in_sitemap(robot)
    assert SLUG not in text_at(robot, "/llms.txt")


def test_robots_may_read_all_but_what_a_person_was_mailed(robot: Client) -> None:
    lines = text_at(robot, "/robots.txt").splitlines()

    barred = [one.removeprefix("Disallow: ") for one in lines if "Disallow" in one]
    assert f"Sitemap: {SITE}/sitemap.xml" in lines
    assert "/newsletter/unsubscribe/" in barred
    paths = [*in_sitemap(robot), "/llms.txt", "/static/css/site.css"]
    assert [p for p in paths for one in barred if p.startswith(one)] == []


def test_llms_txt_leads_to_markdown_that_is_there(robot: Client) -> None:
    text = text_at(robot, "/llms.txt")

    links = re.findall(rf"\]\({SITE}(\S+\.md)\)", text)
    assert links == [f"/articles/{SLUG}.md"]
    assert robot.get(links[0])["Content-Type"].startswith("text/markdown")
    # A claim of review stands on the page alone, where it is worked out.
    assert "Carla" not in text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "WebSite"),
        ("/conditions/", "CollectionPage"),
        (f"/articles/{SLUG}/", "MedicalWebPage"),
    ],
)
def test_json_ld_says_what_the_page_says(robot: Client, path: str, kind: str) -> None:
    page = text_at(robot, path)
    (found,) = re.findall(
        r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL
    )
    facts = json.loads(found)

    seen = words(page)
    assert facts["@type"] == kind
    assert facts["url"] == SITE + path
    said = [facts["name"], facts.get("description", "")]
    crumbs = facts.get("breadcrumb", {}).get("itemListElement", [])
    said += [one["name"] for one in crumbs]
    assert [one for one in said if one not in seen] == []
    links = [one["item"].removeprefix(SITE) for one in crumbs]
    assert [one for one in links if f'<a href="{one}">' not in page] == []


@pytest.mark.parametrize(
    "path",
    ["/", "/about/", "/conditions/", f"/articles/{SLUG}/", "/newsletter/", "/trust/"],
)
def test_every_page_has_one_address_and_says_what_to_share(
    robot: Client, path: str
) -> None:
    page = text_at(robot, path)

    (canonical,) = re.findall(r'<link rel="canonical" href="([^"]*)">', page)
    shared = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]*)">', page))
    (description,) = re.findall(r'<meta name="description" content="([^"]*)">', page)
    assert canonical == shared["url"] == SITE + path
    assert shared["description"] == description
    assert shared["title"] in page.partition("</title>")[0].rpartition("<title>")[2]


def test_a_page_that_was_mailed_to_one_person_has_no_address_to_share(
    robot: Client,
) -> None:
    page = text_at(robot, "/newsletter/confirm/not-a-token/")

    assert "canonical" not in page
    assert "og:url" not in page
