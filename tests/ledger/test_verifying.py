"""P2: whatever a superuser does to evidence, the verifier names the row."""

# Names of tables and columns come from the models, never from a person.
# ruff: noqa: S608

import weakref
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import models
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from articles.editing import revise
from articles.models import Picture, PublishingEvent, Revision
from ledger import Attested, Entry, Redaction, attest, head, record
from ledger import verifying as verifier
from ledger.models import Seal, Unsealed
from ledger.redacting import redact
from ledger.sealing import seal
from ledger.verifying import Verification, verify
from mail import Recipient
from newsletter import composing, consent, wording
from newsletter.models import (
    HealthTip,
    ImportedEvidence,
    SignUp,
    Subscriber,
    Wording,
)
from review import SignOff
from tests.articles.signed_page import SLUG, TEXT, approved, open_site
from tests.conftest import Servers
from tests.tampering import rewritable, sealed, tamper
from twitchsite.roles import evidence_tables

Column: TypeAlias = "models.Field[Any, Any]"
ATTESTED = sorted(Attested.kinds().values(), key=lambda model: model.KIND)
TABLES = [model._meta.db_table for model in ATTESTED]


def fill() -> None:
    """At least two rows in every table of evidence, by the verbs that write them."""
    site = open_site()
    second, _ = revise(site.article, {**TEXT, "title": "Twitches"}, by=site.edith)
    approved(second, site.article.subject)
    for slug in ("rest", "sleep"):
        tip = HealthTip.objects.create(slug=slug)
        text = composing.from_html(slug, "A tip", f"<p>{slug}</p>")
        revision, _ = composing.revise(tip, text, cites=[SLUG], by=site.edith)
        approved(revision, tip.subject)
    rosa = Subscriber.objects.create(
        recipient=Recipient.objects.create(address="rosa@example.com")
    )
    sign_up = SignUp(
        wording=wording.current(), terms_id=site.live.pk, page="/", network="10.0.0.0"
    )
    consent.requested(rosa, sign_up, timezone.now())
    consent.confirmed(rosa, timezone.now())
    attest(Wording(digest="c" * 64, locale="cy", text={"button": "Tanysgrifio"}))
    for line in (2, 3):
        attest(
            ImportedEvidence(
                subscriber_key=rosa.key,
                file_digest="d" * 64,
                line=line,
                trusted=False,
                agreed_at=timezone.now(),
                context_commitment="e" * 64,
            )
        )
    PublishingEvent.objects.get()
    attest(
        PublishingEvent(
            article=site.article, act=PublishingEvent.Act.CORRECTED, text="It is 5 mg."
        )
    )
    for title in ("Gone", "Gone too"):
        gone, _ = revise(site.article, {**TEXT, "title": title}, by=site.edith)
        approved(gone, site.article.subject)
        redact(gone.digest, reason="A court asked for it.", using="owner")


@pytest.fixture(scope="module")
def filled(
    cluster: Servers, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A database with evidence of every kind, all of it sealed."""
    with django_db_blocker.unblock(), sealed(cluster, fill) as name:
        yield name


@pytest.fixture
def evidence(
    cluster: Servers, filled: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    with django_db_blocker.unblock(), rewritable(cluster, filled):
        yield


def sentences(found: Verification) -> str:
    return "\n".join(f"{one.entry}: {one.sentence}" for one in found.faults)


def newest(model: type[models.Model]) -> Any:
    return model._default_manager.order_by("pk").last()


# --- Nobody may rewrite it ----------------------------------------------------------


@pytest.mark.parametrize("table", evidence_tables())
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"],
)
def test_p2_neither_the_application_nor_the_owner_rewrites_any_evidence(
    cluster: Servers, filled: str, table: str, statement: str
) -> None:
    column = "position" if table == "ledger_seal" else "id"
    order = statement.format(table, column, column)

    with psycopg.connect(cluster.superuser_url(filled)) as raw:
        assert len(raw.execute(f"SELECT FROM {table}").fetchall()) > 1
    with (
        psycopg.connect(cluster.application_url(filled)) as raw,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
    ):
        raw.execute(order)
    with (
        psycopg.connect(cluster.owner_url(filled)) as raw,
        pytest.raises(psycopg.errors.RaiseException, match="[Cc]annot"),
    ):
        raw.execute(order)


@pytest.mark.parametrize("model", ATTESTED)
def test_no_column_of_attested_evidence_is_forgotten(model: type[Attested]) -> None:
    columns = {field.attname for field in model._meta.concrete_fields}

    assert {*model.FACTS, *model.REDACTED, "id", "entry_id"} == columns
    assert not set(model.FACTS) & set(model.REDACTED)


def test_the_ledger_knows_every_table_of_evidence() -> None:
    assert {*TABLES, "ledger_entry", "ledger_seal"} == set(evidence_tables())


# --- What a superuser alters is named ------------------------------------------------


def altered(field: Column) -> str:
    """SQL for another value that the column takes."""
    name = field.column
    if isinstance(field, models.ForeignKey | models.IntegerField):
        return f"coalesce({name}, 0) + 1000"
    if isinstance(field, models.BooleanField):
        return f"NOT {name}"
    if isinstance(field, models.DateTimeField):
        return f"coalesce({name}, now()) + interval '1 second'"
    if isinstance(field, models.JSONField):
        return f"""{name} || '{{"dose": "50 mg"}}'"""
    if isinstance(field, models.UUIDField):
        return "gen_random_uuid()"
    if isinstance(field, models.BinaryField):
        return rf"{name} || '\x00'"
    if isinstance(field, models.CharField) and field.max_length == 64:
        flipped = f"translate({name}, '0123456789abcdef', '123456789abcdef0')"
        return f"coalesce(nullif({flipped}, ''), repeat('0', 64))"
    if isinstance(field, models.CharField | models.TextField):
        return f"{name} || '!'"
    return f"{name} || {name} || '{{7}}'"


def columns_of(model: type[models.Model]) -> list[Column]:
    """Each column but the row's number and the ledger's."""
    return [
        field
        for field in model._meta.concrete_fields
        if field.attname not in ("id", "entry_id")
    ]


@pytest.mark.parametrize(
    ("model", "field"),
    [(model, field) for model in ATTESTED for field in columns_of(model)],
    ids=str,
)
def test_p2_any_altered_column_of_evidence_is_named(
    evidence: None, model: type[Attested], field: Column
) -> None:
    row, table = newest(model), model._meta.db_table

    tamper(
        f"UPDATE {table} SET {field.column} = {altered(field)} WHERE id = %s", row.pk
    )

    named = {one.entry: one.sentence for one in verify().faults}
    assert named[row.entry_id] in (
        f"row {row.pk} of {table} was changed",
        f"the text in row {row.pk} of {table} was changed",
    )
    # Without the redaction's digest two blanked texts are unexplained as well.
    assert len(named) == (3 if (model, field.name) == (Redaction, "digest") else 1)


@pytest.mark.parametrize("column", ["id", "kind", "salt", "commitment", "recorded_at"])
def test_p2_any_altered_column_of_an_entry_is_named(
    evidence: None, column: str
) -> None:
    entry = Entry.objects.order_by("pk")[3]
    field = cast(Any, Entry._meta.get_field(column))

    tamper(
        f"UPDATE ledger_entry SET {column} = {altered(field)} WHERE id = %s", entry.pk
    )

    assert entry.pk in [one.entry for one in verify().faults]


@pytest.mark.parametrize("column", ["position", "entry_id", "chain"])
def test_p2_any_altered_column_of_a_link_is_named(evidence: None, column: str) -> None:
    field = cast(Any, Seal._meta.get_field(column))
    tamper(f"UPDATE ledger_seal SET {column} = {altered(field)} WHERE position = 5")

    assert "5" in verify().faults[0].sentence


def test_p2_of_a_link_only_the_clock_time_stands_outside_of_the_chain() -> None:
    """It says when the sealer ran; when a thing happened is in its entry."""
    hashed = {"position", "entry_id", "chain"}

    assert {field.attname for field in Seal._meta.concrete_fields} - hashed == {
        "sealed_at"
    }


@pytest.mark.parametrize(
    ("table", "assignment"),
    [
        ("articles_revision", "content = '1.5'"),
        ("articles_revision", "content = '[]'"),
        ("articles_revision", """content = '{"format": "article/1", "x": 1.5}'"""),
        ("review_signoff", "content = 'null'"),
        ("review_signoff", "signer_user_id = 9007199254740993"),
        ("review_signoff", "author_ids = '{9007199254740993}'"),
        ("newsletter_wording", """text = '{"x": 1e400}'"""),
        ("articles_revision", "created_at = 'infinity'"),
        ("articles_picture", "uploaded_at = '-infinity'"),
        ("ledger_redaction", "redacted_at = '20000-01-01'"),
        ("articles_revision", "content = '{\"redacted\": true}'"),
        ("articles_picture", "content = ''"),
    ],
)
def test_p2_what_could_never_have_been_written_is_named_too(
    evidence: None, table: str, assignment: str
) -> None:
    model = next(one for one in ATTESTED if one._meta.db_table == table)
    first = model._default_manager.order_by("pk")[0].pk

    tamper(f"UPDATE {table} SET {assignment} WHERE id = %s", first)

    assert f"row {first} of {table} was changed" in sentences(verify())


@pytest.mark.parametrize(
    "assignment",
    ["recorded_at = 'infinity'", "id = 9007199254740993", "salt = repeat('0', 64)"],
)
def test_p2_an_entry_that_no_sealer_could_have_sealed_is_named(
    evidence: None, assignment: str
) -> None:
    first = Entry.objects.order_by("pk")[0].pk

    tamper(f"UPDATE ledger_entry SET {assignment} WHERE id = %s", first)

    assert str(first) in sentences(verify())


@pytest.mark.parametrize("model", ATTESTED)
def test_p2_a_deleted_row_is_missed(evidence: None, model: type[Attested]) -> None:
    row, table = newest(model), model._meta.db_table

    tamper(f"DELETE FROM {table} WHERE id = %s", row.pk)

    assert f"{row.entry_id}: its row in {table} is gone" in sentences(verify())


@pytest.mark.parametrize("model", ATTESTED)
def test_p2_two_rows_that_swapped_their_entries_are_named(
    evidence: None, model: type[Attested]
) -> None:
    one, two = model._default_manager.order_by("pk")[:2]
    table = model._meta.db_table

    for pk, entry in ((one.pk, -1), (two.pk, one.entry_id), (one.pk, two.entry_id)):
        tamper(f"UPDATE {table} SET entry_id = %s WHERE id = %s", entry, pk)

    found = sentences(verify())
    assert f"row {one.pk} of {table} was changed" in found
    assert f"row {two.pk} of {table} was changed" in found


def forge(model: type[Attested], entry: int) -> int:
    """A row like the newest with other facts and the given entry; its number."""
    fields = columns_of(model)
    into = ", ".join(str(field.column) for field in fields)
    values = ", ".join(altered(field) for field in fields)
    table = model._meta.db_table
    tamper(
        f"INSERT INTO {table} (id, entry_id, {into}) SELECT id + 1000, %s, {values} "
        f"FROM {table} ORDER BY id DESC LIMIT 1",
        entry,
    )
    return int(newest(model).pk)


@pytest.mark.parametrize("model", ATTESTED)
def test_p2_a_forged_row_without_an_entry_is_named(
    evidence: None, model: type[Attested]
) -> None:
    pk = forge(model, 999_999)

    table = model._meta.db_table
    assert sentences(verify()) == (
        f"999999: row {pk} of {table} has no entry of its own"
    )


@pytest.mark.parametrize("model", ATTESTED)
def test_p2_a_forged_row_with_an_entry_of_another_kind_is_named(
    evidence: None, model: type[Attested]
) -> None:
    stranger = record("test", {"fact": 1})

    pk = forge(model, stranger.pk)

    table = model._meta.db_table
    assert f"row {pk} of {table} has no entry of its own" in sentences(verify())


@pytest.mark.parametrize("model", ATTESTED)
def test_p2_a_forged_row_with_a_forged_entry_is_named(
    evidence: None, model: type[Attested]
) -> None:
    forged = record(model.KIND, {"fact": 1})

    pk = forge(model, forged.pk)

    assert f"row {pk} of {model._meta.db_table} was changed" in sentences(verify())


def test_p2_a_deleted_entry_is_missed(evidence: None) -> None:
    row = newest(SignOff)

    tamper("DELETE FROM ledger_entry WHERE id = %s", row.entry_id)

    found = sentences(verify())
    assert f"{row.entry_id}: sealed at" in found
    assert f"row {row.pk} of review_signoff has no entry of its own" in found


def test_p2_a_deleted_link_is_missed(evidence: None) -> None:
    tamper("DELETE FROM ledger_seal WHERE position IN (4, 5)")

    assert "links 4 to 5 are gone" in verify().faults[0].sentence


def test_p2_a_deleted_last_link_leaves_an_entry_that_nothing_seals(
    evidence: None,
) -> None:
    last = newest(Seal)

    tamper("DELETE FROM ledger_seal WHERE position = %s", last.pk)

    assert sentences(verify()) == (
        f"{last.entry_id}: it was taken out of the chain and is waiting for no seal"
    )


def test_p2_a_forged_link_breaks_the_chain(evidence: None) -> None:
    entry = record("test", {"fact": 1})
    tamper(
        "INSERT INTO ledger_seal (position, entry_id, chain) "
        "SELECT max(position) + 1, %s, repeat('0', 64) FROM ledger_seal",
        entry.pk,
    )

    assert "the chain breaks here" in sentences(verify())


def test_p2_an_entry_that_waits_for_no_seal_is_named(evidence: None) -> None:
    entry = record("test", {"fact": 1})

    Unsealed.objects.filter(entry=entry).delete()

    assert f"{entry.pk}: it was taken out" in sentences(verify())


def test_p2_two_links_that_changed_places_are_named(evidence: None) -> None:
    for old, new in ((4, 1000), (5, 4), (1000, 5)):
        tamper("UPDATE ledger_seal SET position = %s WHERE position = %s", new, old)

    assert verify().faults[0].sentence.startswith("entry or link 4 was changed")


def test_p2_a_tail_that_was_cut_off_shows_against_a_printed_head(
    evidence: None,
) -> None:
    record("test", {"fact": 1})
    seal()
    printed = head()
    assert printed

    tamper("DELETE FROM ledger_seal WHERE position = %s", printed.position)
    tamper("DELETE FROM ledger_entry WHERE kind = 'test'")

    assert verify().is_whole
    found = verify(witnesses=[printed.hash])
    assert f"no link has the printed head {printed.hash}" in sentences(found)
    with pytest.raises(CommandError, match=printed.hash):
        call_command("verifyledger", witness=[printed.hash])


def test_p2_the_first_fault_in_the_chains_order_comes_first(evidence: None) -> None:
    late, early = newest(Redaction), Picture.objects.order_by("pk")[0]

    tamper("UPDATE ledger_redaction SET reason = 'x' WHERE id = %s", late.pk)
    tamper("UPDATE articles_picture SET width = 1 WHERE id = %s", early.pk)

    assert [one.entry for one in verify().faults] == [early.entry_id, late.entry_id]
    assert [one.entry for one in verify(most=1).faults] == [early.entry_id]


# --- What is whole is found whole -----------------------------------------------------


def test_evidence_that_nobody_touched_verifies(
    evidence: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verify(witnesses=list(Seal.objects.values_list("chain", flat=True)))

    assert found.is_whole, sentences(found)
    assert found.entries == found.sealed == Entry.objects.count() > len(TABLES)
    call_command("verifyledger")
    assert "The ledger is whole" in capsys.readouterr().out


def test_what_waits_for_its_seal_is_verified_as_well(evidence: None) -> None:
    edith = User.objects.get(username="edith")
    article = Revision.objects.order_by("pk")[0].article
    revision, _ = revise(article, {**TEXT, "title": "New"}, by=edith)

    waiting = verify()

    assert waiting.is_whole
    assert waiting.entries == waiting.sealed + 1
    tamper("UPDATE articles_revision SET note = 'x' WHERE id = %s", revision.pk)
    assert sentences(verify()) == (
        f"{revision.entry_id}: row {revision.pk} of articles_revision was changed"
    )


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_small_batches_find_the_same(
    evidence: None, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    whole = verify()
    tamper("UPDATE articles_picture SET width = width + 1")
    tamper("DELETE FROM ledger_seal WHERE position = 9")
    tamper("DELETE FROM review_signoff WHERE id = %s", newest(SignOff).pk)
    record("test", {"fact": 1})
    expected = verify()

    monkeypatch.setattr(verifier, "AT_ONCE", at_once)
    monkeypatch.setattr(verifier, "TEXTS_AT_ONCE", 1)

    assert sentences(verify()) == sentences(expected)
    assert whole.is_whole


def test_no_more_texts_than_a_few_are_held_at_a_time(
    evidence: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: set[int] = set()
    most = 0

    def note(instance: SignOff, **kwargs: Any) -> None:
        nonlocal most
        alive.add(id(instance))
        most = max(most, len(alive))
        weakref.finalize(instance, alive.discard, id(instance))

    monkeypatch.setattr(verifier, "TEXTS_AT_ONCE", 2)
    models.signals.post_init.connect(note, sender=SignOff)
    try:
        assert verify().is_whole
    finally:
        models.signals.post_init.disconnect(note, sender=SignOff)

    assert most <= 2 < SignOff.objects.count()
