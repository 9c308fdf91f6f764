"""Consent can be shown to a stranger, who can check it; a changed row is named."""

# Names of tables and columns come from the models, never from a person.
# ruff: noqa: S608

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models
from django.utils import timezone
from pytest_django import DjangoDbBlocker
from structlog.testing import capture_logs

from articles.editing import revise
from articles.models import Article, Revision
from articles.publishing import publish
from ledger import Entry, attest, canonical_json
from ledger.models import Seal
from ledger.sealing import seal
from ledger.verifying import verify
from newsletter import consent, wording
from newsletter.management.commands import proveconsent
from newsletter.models import (
    ConsentContext,
    ConsentEvent,
    ImportedContext,
    ImportedEvidence,
    Subscriber,
    Wording,
)
from newsletter.personal_data import forget
from newsletter.proving import ConsentProof, Unknown, find, prove_consent
from newsletter.subscribing import confirm
from tests.conftest import Servers
from tests.ledger.test_verifying import altered, columns_of
from tests.newsletter.test_importing import PROOF, brought
from tests.newsletter.test_subscribing import (
    ROSA,
    link,
    policies,  # noqa: F401 - a fixture
    publish_policies,
    subscribe,
)
from tests.tampering import rewritable, sealed, tamper

PAGE, NETWORK = "https://health.example/", "192.0.2.0/24"
GENESIS = "0" * 64
TOM = "tom@example.com"


@pytest.fixture
def rosa(policies: None) -> Subscriber:  # noqa: F811
    return on_the_list()


def on_the_list() -> Subscriber:
    subscribe(page=PAGE, network=NETWORK)
    confirm(link())
    seal()
    return Subscriber.objects.get()


def proved(*options: str, address: str = ROSA) -> str:
    """What the command prints."""
    lines: list[str] = []
    command = proveconsent.Command()
    command.stdout.write = lambda text="", **_: lines.append(text)  # type: ignore[method-assign]
    call_command(command, address, *options)
    return "\n".join(lines)


def told(*options: str) -> Any:
    return json.loads(proved("--json", *options))


def hashed(salt: str, facts: Any) -> str:
    return sha256(bytes.fromhex(salt) + canonical_json(facts)).hexdigest()


# --- What it says -------------------------------------------------------------------


def test_it_shows_the_very_words_and_terms(rosa: Subscriber) -> None:
    account = told("--terms")

    (agreement,) = account["agreements"]
    assert agreement["wording"]["words"]["purpose"] == wording.PURPOSE
    digest = agreement["wording"]["digest"]
    words = {"locale": agreement["wording"]["locale"], **agreement["wording"]["words"]}
    assert sha256(canonical_json(words)).hexdigest() == digest
    assert agreement["terms"]["title"] == "terms"
    assert agreement["terms"]["revision"] == 1
    assert agreement["terms"]["read_at"].endswith("/about/terms/")
    assert agreement["terms"]["content"]["body"] == "<p>terms</p>"
    assert agreement["terms"]["text"] == "terms"
    assert (account["person"]["address"], account["faults"]) == (ROSA, [])
    assert [(one["act"], one["matter"]) for one in account["events"]] == [
        ("requested", "newsletter"),
        ("requested", "terms"),
        ("confirmed", "newsletter"),
    ]


def test_the_text_of_the_terms_comes_when_asked_for(rosa: Subscriber) -> None:
    (agreement,) = told()["agreements"]

    assert "content" not in agreement["terms"]


def test_a_stranger_can_recompute_every_commitment(rosa: Subscriber) -> None:
    account = told()
    rows = [
        *(one["evidence"] for one in account["events"]),
        account["agreements"][0]["wording"]["evidence"],
        account["agreements"][0]["terms"]["evidence"],
    ]

    assert len(rows) == 5
    for row in rows:
        assert hashed(row["salt"], row["facts"]) == row["commitment"]
        link_facts = {
            "previous": row["previous_link"],
            **{name: row[name] for name in ("position", "entry", "kind", "salt")},
            **{name: row[name] for name in ("commitment", "recorded_at")},
        }
        assert sha256(canonical_json(link_facts)).hexdigest() == row["link"]
    context = account["events"][0]["context"]
    assert context["said"] == {"page": PAGE, "network": NETWORK}
    assert hashed(context["salt"], context["said"]) == context["commitment"]
    last = Seal.objects.order_by("position").last()
    assert last
    assert account["newest_seal"]["link"] == last.chain


def test_the_first_link_follows_nothing(rosa: Subscriber) -> None:
    first = Seal.objects.get(position=1).entry_id
    (event, *_) = ConsentEvent.objects.order_by("pk")
    by_entry = {one["evidence"]["entry"]: one["evidence"] for one in told()["events"]}

    assert event.entry_id in by_entry
    assert all(
        (one == first) == (by_entry[one]["previous_link"] == GENESIS)
        for one in by_entry
    )


def test_what_is_not_sealed_yet_says_so(policies: None) -> None:  # noqa: F811
    subscribe()

    account = told()

    assert account["faults"] == []
    assert {one["evidence"]["position"] for one in account["events"]} == {None}
    assert "waits for its seal" in proved()


def test_an_erased_context_leaves_its_commitment(rosa: Subscriber) -> None:
    ConsentContext.objects.all().delete()

    account = told()

    assert account["faults"] == []
    assert [one["context"]["state"] for one in account["events"]] == [
        "erased",
        "none",
        "none",
    ]


def test_topics_are_no_part_of_it(rosa: Subscriber) -> None:
    Subscriber.objects.update(topics=["eyes-and-face"])

    for form in ("--json", "--terms"):
        assert "eyes-and-face" not in proved(form)
    assert "eyes-and-face" not in prove_consent(find(ROSA)).as_page()


def test_a_person_may_read_it(rosa: Subscriber) -> None:
    text = proved()

    assert "All of it verifies" in text
    assert wording.PURPOSE in text
    assert "The Terms they agreed to: terms, revision 1" in text
    assert "{{" not in text
    assert "&" not in text.replace("&amp;", "")


def test_a_page_loads_nothing_and_is_for_its_owner_alone(
    rosa: Subscriber, tmp_path: Path
) -> None:
    file = tmp_path / "proof.html"

    proved("--html", str(file), "--terms")

    page = file.read_text()
    assert wording.PURPOSE in page
    assert "All of it verifies" in page
    assert not any(
        one in page for one in ("<script", "<link", "src=", "@import", "url(")
    )
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="not there yet"):
        proved("--html", str(file))


# --- Who came in with a file ---------------------------------------------------------


def test_what_another_list_knew_is_shown_with_who_vouches(db: None) -> None:
    brought(PROOF, trust_evidence=True)
    seal()

    account = told()

    (row,) = account["brought_from_another_list"]
    assert account["faults"] == account["agreements"] == []
    assert (row["line"], row["vouched_for"]) == (2, True)
    assert row["context"]["said"]["wording"] == "Yes to tips"
    evidence, context = row["evidence"], row["context"]
    assert hashed(evidence["salt"], evidence["facts"]) == evidence["commitment"]
    assert hashed(context["salt"], context["said"]) == context["commitment"]
    assert "Yes to tips" in proved()
    assert "by the operator" in prove_consent(find(ROSA)).as_page()


def test_evidence_nobody_vouches_for_is_no_consent(db: None) -> None:
    brought(PROOF)
    Subscriber.objects.update(status="confirmed", confirmed_at=timezone.now())

    assert "no confirmation stands" in tampered("--quick")


# --- Old consents keep their words --------------------------------------------------


def test_changed_words_and_new_terms_never_stretch_an_old_consent(
    rosa: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told("--terms")["agreements"]
    monkeypatch.setattr(wording, "PURPOSE", "Get whatever we like to send.")
    terms = Article.objects.get(slug="terms")
    content = {"title": "terms", "summary": "new", "body": "<p>You owe us.</p>"}
    publish(revise(terms, content, by=None)[0])
    subscribe("otto@example.com")

    (old,) = told("--terms")["agreements"]
    (new,) = prove_consent(find("otto@example.com")).told["agreements"]

    assert old["wording"] == before[0]["wording"]
    changed = {"is_on_the_site": False}
    assert old["terms"] == {**before[0]["terms"], **changed}
    assert new["wording"]["words"]["purpose"] == "Get whatever we like to send."
    assert new["terms"]["revision"] == 2
    assert "No longer on the site" in proved()


# --- Whom nobody knows --------------------------------------------------------------


@pytest.mark.parametrize("address", ["stranger@example.com", "rosa@", "\x00@x.example"])
def test_who_is_not_known_is_said_in_a_sentence(rosa: Subscriber, address: str) -> None:
    with pytest.raises(CommandError) as raised:
        proved(address=address)

    assert raised.value.returncode == 1
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


def test_who_was_erased_is_not_known(rosa: Subscriber) -> None:
    forget(rosa)

    with pytest.raises(Unknown, match="or were erased since"):
        find(ROSA)


def test_the_address_is_found_in_any_spelling(rosa: Subscriber) -> None:
    assert find(" Rosa@EXAMPLE.com ") == rosa


def test_a_look_is_logged_without_the_address(rosa: Subscriber) -> None:
    with capture_logs() as logs:
        proved()

    (line,) = logs
    assert (line["event"], line["subscriber"]) == ("consent proved", rosa.pk)
    assert ROSA not in str(logs)


# --- What a superuser alters is named -----------------------------------------------


def rosa_and_tom() -> None:
    publish_policies()
    on_the_list()
    brought(PROOF.replace(ROSA, TOM), trust_evidence=True)


@pytest.fixture(scope="module")
def filled(
    cluster: Servers, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A database with one subscriber's evidence, all of it sealed."""
    with django_db_blocker.unblock(), sealed(cluster, rosa_and_tom) as name:
        yield name


@pytest.fixture
def evidence(
    cluster: Servers, filled: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    with django_db_blocker.unblock(), rewritable(cluster, filled):
        yield


def tampered(*options: str, address: str = ROSA) -> str:
    with pytest.raises(CommandError) as raised:
        proved(*options, address=address)
    assert raised.value.returncode == 2
    return str(raised.value)


def rows_of(model: type[models.Model]) -> list[Any]:
    if model is Revision:
        return [Revision.objects.get(article__slug="terms")]
    return list(model._default_manager.order_by("pk"))


CASES = [
    (model, number, field)
    for model, rows in ((ConsentEvent, 3), (Wording, 1), (Revision, 1))
    for number in range(rows)
    for field in columns_of(model)
]


@pytest.mark.parametrize(("model", "number", "field"), CASES, ids=str)
def test_p2_any_altered_column_of_consent_is_named_by_both(
    evidence: None, model: type[models.Model], number: int, field: Any
) -> None:
    row, table = rows_of(model)[number], model._meta.db_table

    tamper(
        f"UPDATE {table} SET {field.column} = {altered(field)} WHERE id = %s", row.pk
    )

    named = (
        f"row {row.pk} of {table} was changed",
        f"the text in row {row.pk} of {table} was changed",
    )
    assert verify().faults[0].sentence in named
    assert any(sentence in tampered() for sentence in named)
    moved_away = field.name == "subscriber_key"
    if not moved_away:
        assert any(sentence in tampered("--quick") for sentence in named)


@pytest.mark.parametrize("field", columns_of(ImportedEvidence), ids=str)
def test_p2_any_altered_column_of_imported_evidence_is_named(
    evidence: None, field: Any
) -> None:
    row = ImportedEvidence.objects.get()
    table = row._meta.db_table

    tamper(f"UPDATE {table} SET {field.column} = {altered(field)}")

    named = f"row {row.pk} of {table} was changed"
    assert named in tampered(address=TOM)
    assert (named in tampered("--quick", address=TOM)) != (
        field.name == "subscriber_key"
    )


@pytest.mark.parametrize("column", ["salt", "wording", "terms", "page", "source"])
def test_p2_altered_words_from_a_file_are_named(evidence: None, column: str) -> None:
    field: Any = ImportedContext._meta.get_field(column)

    tamper(f"UPDATE newsletter_importedcontext SET {column} = {altered(field)}")

    assert "noted beside row" in tampered("--quick", address=TOM)


@pytest.mark.parametrize("model", [ConsentEvent, Wording, Revision])
def test_p2_a_deleted_row_is_named(evidence: None, model: type[models.Model]) -> None:
    row, table = rows_of(model)[-1], model._meta.db_table

    tamper(f"DELETE FROM {table} WHERE id = %s", row.pk)

    assert f"its row in {table} is gone" in tampered()


@pytest.mark.parametrize("column", ["id", "kind", "salt", "commitment", "recorded_at"])
def test_p2_any_altered_column_of_its_entry_is_named(
    evidence: None, column: str
) -> None:
    event = ConsentEvent.objects.order_by("pk")[1]
    field: Any = Entry._meta.get_field(column)

    tamper(
        f"UPDATE ledger_entry SET {column} = {altered(field)} WHERE id = %s",
        event.entry_id,
    )

    position = Seal.objects.get(entry_id=event.entry_id).position
    for found in (tampered(), tampered("--quick")):
        assert f"row {event.pk} of" in found or f"link {position} was changed" in found


@pytest.mark.parametrize("column", ["position", "entry_id", "chain"])
def test_p2_any_altered_column_of_its_link_is_named(
    evidence: None, column: str
) -> None:
    event = ConsentEvent.objects.order_by("pk")[0]
    position = Seal.objects.get(entry_id=event.entry_id).position
    field: Any = Seal._meta.get_field(column)

    tamper(
        f"UPDATE ledger_seal SET {column} = {altered(field)} WHERE position = %s",
        position,
    )

    named = (f"link {position}", f"links {position}", f"entry {event.entry_id}")
    for found in (tampered(), tampered("--quick")):
        assert any(one in found for one in named)


def test_p2_a_rewritten_tail_shows_at_the_next_link(evidence: None) -> None:
    """Who forges an entry and its link has all that follow against them."""
    event = ConsentEvent.objects.order_by("pk")[0]
    at = Seal.objects.get(entry_id=event.entry_id).position
    tamper("UPDATE ledger_seal SET chain = repeat('0', 64) WHERE position = %s", at)

    found = tampered("--quick")

    assert f"entry or link {at} was changed" in found
    assert f"link {at + 1} does not follow from link {at}" in found


def test_p2_an_entry_that_waits_for_no_seal_is_named(evidence: None) -> None:
    event = ConsentEvent.objects.order_by("pk")[2]

    tamper("DELETE FROM ledger_seal WHERE entry_id = %s", event.entry_id)

    assert f"entry {event.entry_id} was taken out of the chain" in tampered("--quick")


def test_p2_words_that_are_not_what_their_digest_says_are_named(
    evidence: None,
) -> None:
    """Who writes a wording with an entry of its own still can't choose its digest."""
    text = {"purpose": "Yes to all.", "agreement": "", "button": "OK"}
    forged = attest(Wording(digest="c" * 64, locale="en-GB", text=text))
    consent.permitted(
        *(Subscriber.objects.earliest("pk"), timezone.now()),
        wording=forged,
        page="",
        network="",
    )
    seal()

    assert "the wording cccccccccccc does not have that digest" in tampered("--quick")


@pytest.mark.parametrize("column", ["salt", "page", "network"])
def test_p2_an_altered_context_is_named(evidence: None, column: str) -> None:
    field: Any = ConsentContext._meta.get_field(column)
    context = ConsentContext.objects.get()

    tamper(f"UPDATE newsletter_consentcontext SET {column} = {altered(field)}")

    assert f"noted beside row {context.event_id} of" in tampered("--quick")


@pytest.mark.parametrize("salt", ["", "xyz"])
def test_p2_a_salt_that_was_never_made_is_named(evidence: None, salt: str) -> None:
    tamper("UPDATE newsletter_consentcontext SET salt = %s", salt)

    assert "noted beside row" in tampered("--quick")


def test_p2_a_time_that_nothing_can_read_is_named(evidence: None) -> None:
    tamper("UPDATE newsletter_consentevent SET occurred_at = 'infinity'")

    assert "newsletter_consentevent was changed: occurred_at" in tampered()
    assert "verifyledger" in tampered("--quick")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("unsubscribed", "the ledger knows of no withdrawal"),
        ("unconfirmed", "the ledger knows of no withdrawal"),
    ],
)
def test_a_list_that_says_something_else_is_named(
    evidence: None, status: str, sentence: str
) -> None:
    Subscriber.objects.update(status=status)

    assert sentence in tampered("--quick")


def test_p2_who_is_on_the_list_without_a_confirmation_is_named(evidence: None) -> None:
    tamper("DELETE FROM newsletter_consentevent WHERE act = 'confirmed'")

    assert "no confirmation stands in the ledger" in tampered("--quick")


def test_p2_the_account_is_printed_all_the_same(evidence: None) -> None:
    tamper("UPDATE newsletter_wording SET locale = 'cy'")
    command = proveconsent.Command()
    lines: list[str] = []
    command.stdout.write = lambda text="", **_: lines.append(text)  # type: ignore[method-assign]

    with pytest.raises(CommandError):
        call_command(command, ROSA, "--json")

    proof = ConsentProof(json.loads(lines[0]), [])
    assert any("newsletter_wording was changed" in one for one in proof.told["faults"])
    assert "Not proved" in proof.as_page()
    assert "NOT PROVED" in proof.as_text()
