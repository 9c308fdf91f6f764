"""Everything that happens, in the order and with the numbers of the test plan."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.trial import Trial


@dataclass(frozen=True)
class Scenario:
    """One story and the function that tells it, as module.function.

    `in_tests`: in its short form it is part of `make test`.
    """

    id: str
    title: str
    function: str
    in_tests: bool = False

    def happens(self, trial: "Trial") -> None:
        # Imported late: models need settings that a seed makes for itself.
        module, _, name = self.function.partition(".")
        getattr(import_module(f"{__name__}.{module}"), name)(trial)


SCENARIOS = {
    one.id: one
    for one in (
        Scenario(
            "S1", "a sender is killed every three seconds", "senders.killed", True
        ),
        Scenario("S2", "Valkey is wiped, then killed", "storage.queue_wiped", True),
        Scenario("S3", "PostgreSQL is killed twice", "storage.database_killed"),
        Scenario(
            "after250",
            "PostgreSQL is killed right after a 250",
            "storage.database_killed_after_250",
        ),
        Scenario("S4", "every fault a mail server has", "servers.faults"),
        Scenario("S4mixed", "many faults at once", "servers.mixed", True),
        Scenario("tarpit", "servers that answer ten minutes late", "servers.tarpit"),
        Scenario("drip", "servers that answer octet by octet", "servers.dripping"),
        Scenario("S5", "two beats, two schedulers", "schedules.two_beats"),
        Scenario("clocks", "a year of clock changes", "schedules.clock_changes"),
        Scenario("S6", "senders are asked to end: a deploy", "senders.deployed", True),
        Scenario("frozen", "a sender sleeps past its lease", "senders.frozen"),
        Scenario("cloned", "a copy is made and let loose", "copies.cloned"),
        Scenario("restored", "a backup is put back", "copies.restored"),
        Scenario("S7", "people unsubscribe meanwhile", "people.unsubscribing", True),
        Scenario("S8", "a message can't be made", "people.poisoned", True),
    )
}
