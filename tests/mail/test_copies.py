"""What operators do to databases: nothing reaches anybody from a copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import Settings

from mail import Delivery, drop_waiting
from mail.environment import look
from mail.guard import may_send
from mail.hosts import this_host
from mail.sending import send_due
from mail.sweeping import sweep
from tests.conftest import Mailbox, Servers, drop, point_at
from tests.mail import copies
from tests.mail.test_environment import adoptdatabase
from tests.mail.test_overdue import confirmation
from tests.mail.test_sending import person, states, tip_for_everybody
from tests.racing import at_once
from twitchsite import embedded

State = Delivery.State
WAITING = ["new@example.com", "rosa@example.com", "ruth@example.com"]


@pytest.fixture
def site(cloned_database: str) -> str:
    """A site's database that sends from here; a tip and a confirmation wait."""
    assert may_send()
    person("rosa")
    person("ruth")
    tip_for_everybody()
    confirmation(person("new"))
    return cloned_database


@pytest.fixture
def dump(site: str, cluster: Servers, tmp_path: Path) -> str:
    """Last night's backup of it."""
    path = str(tmp_path / "backup")
    copies.run(copies.DUMP, f"--file={path}", cluster.owner_url(site))
    return path


@pytest.fixture
def removed(cluster: Servers) -> Iterator[list[str]]:
    """Databases to remove afterwards."""
    names: list[str] = []
    yield names
    connections.close_all()
    for name in names:
        drop(cluster, name)


def differs() -> list[str]:
    return [one.what for one in look(this_host()).differences]


def test_a_twin_in_the_same_cluster_sends_nothing(
    site: str, cluster: Servers, removed: list[str], mailbox: Mailbox
) -> None:
    removed.append(copies.twin(cluster, site))
    point_at(cluster, removed[0])

    ends = at_once(*[send_due] * 4)
    sweep()

    assert (ends, mailbox.taken, differs()) == ([0] * 4, [], ["database"])
    assert set(states().values()) == {State.QUEUED}

    point_at(cluster, site)
    send_due()
    assert sorted(mailbox.taken) == WAITING, "the site itself goes on"


def test_a_twin_that_takes_the_site_s_name_sends_nothing(
    site: str, cluster: Servers, removed: list[str], mailbox: Mailbox
) -> None:
    """A restore beside the old database, which is then put in its place."""
    twin = copies.twin(cluster, site)
    copies.rename(cluster, site, f"{site}_old")
    copies.rename(cluster, twin, site)
    removed.append(f"{site}_old")
    point_at(cluster, site)

    assert (send_due(), mailbox.taken, differs()) == (0, [], ["database"])


def test_a_dump_that_is_loaded_elsewhere_sends_nothing(
    site: str, dump: str, cluster: Servers, removed: list[str], mailbox: Mailbox
) -> None:
    removed.append(f"{site}_loaded")
    copies.create(cluster, removed[0])
    copies.run(copies.RESTORE, f"--dbname={cluster.owner_url(removed[0])}", dump)
    point_at(cluster, removed[0])

    assert (send_due(), mailbox.taken, differs()) == (0, [], ["database"])


def test_a_dump_on_another_machine_sends_nothing_until_it_is_adopted(
    site: str, dump: str, mailbox: Mailbox, settings: Settings, tmp_path: Path
) -> None:
    """Another cluster, another DATA_DIR, the same SITE_URL: the site moves."""
    own = connections["default"].settings_dict.copy()
    with embedded.temporary_cluster() as there:
        copies.run(copies.RESTORE, f"--dbname={there.owner_url('twitchsite')}", dump)
        copies.use(there.application_url("twitchsite"))
        settings.DATA_DIR = tmp_path / "elsewhere"

        assert (send_due(), mailbox.taken) == (0, [])
        assert {"cluster", "host"} <= set(differs())
        adoptdatabase("--keep", "--yes")
        send_due()

        assert sorted(mailbox.taken) == WAITING
        connections["default"].close()
    connections["default"].settings_dict.update(own)


def test_an_older_dump_in_the_same_place_sends_nothing(
    site: str, dump: str, cluster: Servers, mailbox: Mailbox
) -> None:
    """Everything has left since, and Ruth has left the list."""
    ruth = Delivery.objects.get(recipient__address="ruth@example.com").recipient
    drop_waiting(ruth, reason="unsubscribed")
    send_due()
    assert sorted(mailbox.taken) == ["new@example.com", "rosa@example.com"]

    connections.close_all()
    copies.run(
        (*copies.RESTORE, "--clean", "--if-exists"),
        f"--dbname={cluster.owner_url(site)}",
        dump,
    )

    assert set(states().values()) == {State.QUEUED}, "as they were last night"
    assert [send_due(), send_due()] == [0, 0]
    assert len(mailbox.taken) == 2, "nobody twice, and not Ruth"
    assert differs() == ["data"]

    adoptdatabase("--drop", "--yes")
    assert may_send()
    assert (send_due(), len(mailbox.taken)) == (0, 2)


def test_a_backup_that_is_as_new_as_the_site_goes_on(
    site: str, cluster: Servers, mailbox: Mailbox, tmp_path: Path
) -> None:
    """Nothing left and nothing was claimed since: there is nothing to hold."""
    path = str(tmp_path / "backup")
    connections.close_all()
    copies.run(copies.DUMP, f"--file={path}", cluster.owner_url(site))
    copies.run(
        (*copies.RESTORE, "--clean", "--if-exists"),
        f"--dbname={cluster.owner_url(site)}",
        path,
    )

    send_due()

    assert sorted(mailbox.taken) == WAITING
