"""Every page links to every section, so a section is where the site answers."""

import pytest
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from articles.models import Section
from tests.articles.test_desk import desk

__all__ = ["desk"]
ADD = reverse("admin:articles_section_add")


@pytest.mark.parametrize("slug", Section.Slug)
def test_each_section_that_can_be_added_has_its_page(desk: Client, slug: str) -> None:
    desk.post(ADD, {"slug": slug, "title": "A section", "position": 1})

    assert f'<a href="/{slug}/">A section</a>' in desk.get("/").content.decode()
    assert desk.get(f"/{slug}/").status_code == 200


def test_a_section_is_added_only_where_the_site_answers(desk: Client) -> None:
    refused = desk.post(ADD, {"slug": "wellbeing", "title": "Wellbeing", "position": 1})

    assert "Select a valid choice" in refused.content.decode()
    assert not Section.objects.exists()
    assert desk.get("/").status_code == 200


def test_a_section_keeps_its_address(desk: Client) -> None:
    section = Section.objects.create(slug="plan", title="Plan")
    url = reverse("admin:articles_section_change", args=[section.pk])

    desk.post(url, {"slug": "connect", "title": "Planned", "position": 1})

    section.refresh_from_db()
    assert (section.slug, section.title) == ("plan", "Planned")


def test_the_database_refuses_a_section_without_an_address(db: None) -> None:
    with pytest.raises(IntegrityError):
        Section.objects.create(slug="wellbeing", title="Wellbeing")


def test_a_section_is_stored_without_what_nobody_sees(desk: Client) -> None:
    said = {"title": "A\u200b plan", "introduction": "One\vtwo.\u2028Three."}

    desk.post(ADD, {"slug": "plan", "position": 1, **said})

    section = Section.objects.get()
    assert (section.title, section.introduction) == ("A plan", "One two. Three.")


def test_a_feed_carries_no_control_character(desk: Client) -> None:
    """RFC 4287 is XML, which has no place for them; one in a row ends no page."""
    Section.objects.create(slug="plan", title="A\vplan", introduction="One\vtwo.")

    answer = desk.get("/feeds/plan.atom")

    assert answer.status_code == 200
    assert "One\ntwo." in answer.content.decode()
