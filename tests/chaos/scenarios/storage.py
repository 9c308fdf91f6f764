"""What happens to the servers that remember: Valkey and PostgreSQL."""

import time

from ledger.verifying import verify
from tests.chaos.signups import SignUps
from tests.chaos.site import CONNECTIONS
from tests.chaos.trial import Trial


def queue_wiped(trial: Trial) -> None:
    """Hints get lost, no message does; sign-ups don't notice (long form)."""
    people = trial.size(2000, 100)
    trial.people(people)
    with SignUps(trial) as sign_ups:
        mailing = trial.mail(trial.slow)
        trial.until_taken(mailing, people * 3 // 10)
        trial.site.forget_hints()
        trial.until_taken(mailing, people * 6 // 10)
        trial.site.services.valkey.kill()
        trial.kills += 1
        time.sleep(2)
        trial.site.services.valkey.start()
        trial.site.forget_hints()
        trial.until_settled(mailing)
    trial.expect_few_uncertain(0)
    sign_ups.expect_one_confirmation_each(mailing)


def database_killed(trial: Trial) -> None:
    """What was committed stays, and the ledger's chain with it."""
    people = trial.size(2000, 200)
    trial.people(people)
    mailing = trial.mail(trial.slow)
    for share in (trial.random.uniform(0.2, 0.4), trial.random.uniform(0.5, 0.7)):
        trial.until_taken(mailing, int(people * share))
        _restart(trial)
    trial.until_settled(mailing)
    trial.expect_few_uncertain(CONNECTIONS)
    trial.expect(verify().is_whole, "the ledger is not whole any more")


def database_killed_after_250(trial: Trial) -> None:
    """The server has the message and the row does not say so: uncertain, not twice."""
    trial.people(trial.size(300, 100))
    mailing = trial.mail(trial.slow)
    for _ in range(trial.size(4, 1)):
        wanted = mailing.taken() + trial.random.randrange(10, 40)
        ends = time.monotonic() + 60
        # Within a millisecond or so: `until` looks too rarely.
        while mailing.taken() < wanted and time.monotonic() < ends:
            time.sleep(0.001)
        _restart(trial)
    trial.until_settled(mailing)
    trial.expect_few_uncertain(CONNECTIONS)


def _restart(trial: Trial) -> None:
    """kill -9, and back after a second."""
    trial.site.services.postgres.kill()
    trial.kills += 1
    time.sleep(1)
    trial.site.services.postgres.start()
