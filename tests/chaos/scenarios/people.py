"""What people do, and what may be wrong with one of them."""

import time

import psycopg

from mail import Recipient
from mail.links import token
from newsletter.subscribing import UNSUBSCRIBE, unsubscribe
from tests.chaos.faults import Plan
from tests.chaos.trial import State, Trial

GRACE_SECONDS = 1
NEVER = float("inf")
ASCII = "mail_recipient_address_is_ascii"


def unsubscribing(trial: Trial) -> None:
    """No message begins later than a second after its person has left."""
    addresses = trial.people(trial.size(2000, 100))
    leavers = trial.random.sample(addresses, trial.size(100, 20))
    mailing = trial.mail(trial.slow)
    for address in leavers:
        time.sleep(trial.random.uniform(0, len(addresses) / len(leavers) / 20))
        key = Recipient.objects.get(address=address).key
        unsubscribe(token(UNSUBSCRIBE, key))
        trial.unsubscribed[address] = time.time()
    trial.until_settled(mailing)
    late = [
        one
        for one in mailing.entries()
        if one.mail_at > trial.unsubscribed.get(one.recipient, NEVER) + GRACE_SECONDS
    ]
    trial.expect(not late, f"{len(late)} mails began a second after their person left")
    trial.expect_few_uncertain(0)


def poisoned(trial: Trial) -> None:
    """An address that no constraint kept out: it fails alone, and an error says so."""
    addresses = trial.people(trial.size(200, 50))
    victim = trial.random.choice(addresses)
    poison = victim.replace("-", "-\u00f6")
    with psycopg.connect(trial.site.services.superuser_url("twitchsite")) as there:
        there.execute(f"ALTER TABLE mail_recipient DROP CONSTRAINT {ASCII}")
        there.execute(
            "UPDATE mail_recipient SET address = %s WHERE address = %s",
            [poison, victim],
        )
    mailing = trial.mail(Plan())
    trial.failing[mailing.batch] = {poison}
    trial.until_settled(mailing, 60)
    failed = {
        one: fate for one, fate in mailing.fates().items() if fate != State.ACCEPTED
    }
    trial.expect(failed == {poison: State.REFUSED}, f"{len(failed)} failed, not one")
    trial.expect(trial.logged("message could not be made"), "no error was logged")
