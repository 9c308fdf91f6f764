from threading import Barrier, Thread

import psycopg
import pytest
from django.db import connections, transaction

from ledger import Entry, head, record
from ledger.models import Seal, Unsealed
from ledger.sealing import GENESIS, link, seal
from tests.conftest import Servers
from twitchsite.checks import evidence_is_insert_only

STATEMENTS = [
    "UPDATE ledger_entry SET kind = 'other'",
    "DELETE FROM ledger_entry",
    "TRUNCATE ledger_entry CASCADE",
    "UPDATE ledger_seal SET chain = repeat('0', 64)",
    "DELETE FROM ledger_seal",
    "TRUNCATE ledger_seal CASCADE",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_p2_the_application_may_not_rewrite_evidence(
    cluster: Servers, cloned_database: str, statement: str
) -> None:
    record("test", {"fact": 1})
    seal()

    with (
        psycopg.connect(cluster.application_url(cloned_database)) as raw,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        raw.execute(statement)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_p2_a_trigger_refuses_the_owner_too(
    cluster: Servers, cloned_database: str, statement: str
) -> None:
    record("test", {"fact": 1})
    seal()

    with (
        psycopg.connect(cluster.owner_url(cloned_database)) as raw,
        pytest.raises(psycopg.errors.RaiseException, match="[Cc]annot"),
    ):
        raw.execute(statement)


def test_p2_the_check_finds_nothing_to_say(db: None) -> None:
    assert evidence_is_insert_only(None, databases=["default"]) == []


def test_p2_the_check_names_evidence_that_the_role_may_rewrite(
    cluster: Servers, cloned_database: str
) -> None:
    with psycopg.connect(cluster.owner_url(cloned_database)) as raw:
        raw.execute("GRANT UPDATE ON ledger_seal TO twitchsite_app")

    (found,) = evidence_is_insert_only(None, databases=["default"])

    assert found.id == "twitchsite.E001"
    assert "ledger_seal" in found.msg


def test_each_link_follows_from_the_one_before(db: None) -> None:
    first, second = record("test", {"fact": 1}), record("test", {"fact": 1})

    assert seal() == 2

    one, two = Seal.objects.order_by("position")
    assert (one.position, one.chain) == (1, link(GENESIS, 1, first_again(first)))
    assert (two.position, two.chain) == (2, link(one.chain, 2, first_again(second)))
    assert first.commitment != second.commitment
    assert not Unsealed.objects.exists()
    top = head()
    assert top is not None
    assert top.hash == two.chain


def first_again(entry: Entry) -> Entry:
    return Entry.objects.get(pk=entry.pk)


def test_a_fact_that_was_rolled_back_left_no_entry(db: None) -> None:
    with transaction.atomic():
        record("test", {"fact": 1})
        transaction.set_rollback(True)

    assert not Entry.objects.exists()


def test_two_sealers_at_once_chain_each_entry_once(cloned_database: str) -> None:
    for number in range(50):
        record("test", {"number": number})
    start = Barrier(2)

    def run() -> None:
        start.wait()
        seal()
        connections.close_all()

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal()

    positions = list(
        Seal.objects.order_by("position").values_list("position", flat=True)
    )
    assert positions == list(range(1, 51))
