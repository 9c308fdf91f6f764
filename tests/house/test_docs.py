"""What the documents promise is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""(?:env\.\w+|_own_fact)\(\s*"([A-Z_]+)\"""")


def variables() -> set[str]:
    settings = (ROOT / "twitchsite/settings.py").read_text()
    return {*READ.findall(settings), "PORT", "DATA_DIR"}


@pytest.mark.parametrize("document", ["docs/operating.md", ".env.example"])
def test_every_variable_is_in_the_document(document: str) -> None:
    text = (ROOT / document).read_text()

    assert variables() >= {"DATABASE_URL", "POSTAL_ADDRESS", "LOG_LEVEL"}
    assert sorted(name for name in variables() if name not in text) == []


def test_every_page_template_has_a_title() -> None:
    whole = [
        path
        for path in (ROOT / "templates").rglob("*.html")
        if "{% extends" in path.read_text()
        # A mail has a subject, an admin page the title that its view gives it.
        and not {"email", "admin"} & set(path.parts)
    ]

    assert len(whole) > 10
    untitled = [
        path.name
        for path in whole
        if "block title" not in path.read_text()
        and "standalone" not in path.read_text()
    ]
    assert untitled == []


def test_safe_stands_once_in_the_page_templates() -> None:
    found = [
        path.name
        for path in (ROOT / "templates").rglob("*.html")
        if "|safe" in path.read_text() and "email" not in path.parts
    ]

    assert len(found) <= 1


def test_links_between_documents_lead_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{document.name}: {link}"
        for document in documents
        for link in re.findall(r"\]\((?!https?:|#|/)([^)#]+)", document.read_text())
        if not (document.parent / link).exists() and "figures/" not in link
    ]

    assert dead == []
