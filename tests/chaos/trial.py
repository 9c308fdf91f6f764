"""One scenario: its people, its batches, its mail server, and what became of them."""

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from celery import current_app
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from mail import Batch, Delivery, Recipient, TipMail, counts, start_batch
from mail.building import UNSUBSCRIBE, envelope_sender
from tests.chaos import journal
from tests.chaos.faults import Fault, Plan
from tests.chaos.journal import Entry
from tests.chaos.result import Result
from tests.chaos.site import Site, family, until
from tests.chaos.tally import Tally, count
from twitchsite.embedded.processes import Child

HTML = f'<html lang="en"><body><p>Rest.</p><a href="{UNSUBSCRIBE}">x</a></body></html>'
TIP = TipMail("Rest your eyes", HTML, f"Rest.\nLeave: {UNSUBSCRIBE}")
State = Delivery.State
# 2,000 messages over 8 connections last a minute.
SLOW = Plan(seconds_each=0.24)
BRISK = Plan(seconds_each=0.15)


@dataclass(frozen=True)
class Mailing:
    """One batch and everybody it is for, written down before it could start."""

    batch: int
    # Each address's envelope sender.
    senders: Mapping[str, str]
    journal: Path

    @property
    def eligible(self) -> Sequence[str]:
        return sorted(self.senders)

    def entries(self) -> list[Entry]:
        """What came of this batch."""
        mine = set(self.senders.values())
        return [one for one in journal.read(self.journal) if one.sender in mine]

    def taken(self) -> int:
        return sum(1 for one in self.entries() if one.accepted)

    def fates(self) -> dict[str, str]:
        """The database's state for each address."""
        rows = Delivery.objects.filter(batch_id=self.batch)
        return dict(rows.values_list("recipient__address", "state"))

    def settled(self) -> bool:
        """Has every delivery a fate? No, while the database is away."""
        mine = Delivery.objects.filter(batch_id=self.batch)
        try:
            return not mine.unfinished().exists()
        except OperationalError:
            connection.close()
            return False

    def is_closed(self) -> bool:
        """The engine's own sum holds, too."""
        batch = Batch.objects.get(pk=self.batch)
        return batch.finished_at is not None and counts(batch).add_up


class Trial:
    def __init__(self, site: Site, name: str, seed: int, *, short: bool) -> None:
        self.site = site
        self.name = name
        self.seed = seed
        self.is_short = short
        # A mail server slow enough that things can happen meanwhile.
        self.slow = BRISK if short else SLOW
        self.random = random.Random(f"{name} {seed}")  # noqa: S311 - repeatable
        self.kills = 0
        self.complaints: list[str] = []
        self.mailings: list[Mailing] = []
        # When each person's leaving was committed, in seconds since 1970.
        self.unsubscribed: dict[str, float] = {}
        # Whom a batch is not to reach in the end, by its id.
        self.failing: dict[int, set[str]] = {}
        self.folder = site.folder / name
        self.folder.mkdir()

    def size(self, long: int, short: int) -> int:
        """How much of it: for `make chaos`, or for `make test`."""
        return short if self.is_short else long

    def expect(self, is_so: bool, otherwise: str) -> None:
        """A condition of this scenario's own."""
        if not is_so:
            self.complaints.append(otherwise)

    # --- Mailing -------------------------------------------------------------------

    def people(self, number: int) -> list[str]:
        """That many confirmed subscribers; their addresses."""
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH made AS ("
                "INSERT INTO mail_recipient (address, may_receive, suppression) "
                "SELECT %s || n || '@example.com', true, '' "
                "FROM generate_series(1, %s) AS n RETURNING id) "
                "INSERT INTO newsletter_subscriber (key, recipient_id, status, "
                "confirmed_at, topics, frequency, time_zone) "
                "SELECT gen_random_uuid(), id, 'confirmed', now(), '{}', 'weekly', "
                "'UTC' FROM made",
                [self._prefix, number],
            )
        return [f"{self._prefix}{n}@example.com" for n in range(1, number + 1)]

    @property
    def _prefix(self) -> str:
        return f"{self.name.lower()}-"

    def mail(
        self, plan: Plan, faults: Mapping[str, Fault] = MappingProxyType({})
    ) -> Mailing:
        """Start a batch for this scenario's people; `faults` strike by address.

        Who is eligible is on disk, and the sink in its place, before the batch's
        transaction commits: nobody can have been sent anything.
        """
        mine = Recipient.objects.filter(address__startswith=self._prefix)
        path = self.folder / f"journal{len(self.mailings) + 1}"
        with transaction.atomic():
            batch = start_batch(
                name=f"{self.name} {path.name}",
                mail=TIP,
                recipients=mine.filter(may_receive=True, suppressed_at=None),
                due_at=timezone.now(),
            )
            if batch is None:
                raise ValueError("there is nobody to mail")
            mailing = self.follow(batch, path)
            struck = {mailing.senders[one]: fault for one, fault in faults.items()}
            self.site.serve(path, replace(plan, messages=struck))
        return mailing

    def follow(self, batch: Batch, path: Path) -> Mailing:
        """Count what becomes of `batch`; its messages arrive in the journal `path`."""
        rows = batch.deliveries.values_list("recipient__address", "key")
        senders = {address: envelope_sender(key) for address, key in rows}
        mailing = Mailing(batch.pk, senders, path)
        self.mailings.append(mailing)
        self.write(f"eligible{len(self.mailings)}", mailing.eligible)
        return mailing

    # --- Striking and waiting ------------------------------------------------------

    def kill(self, child: Child) -> None:
        """SIGKILL for the process and its own children."""
        others = family(child)[1:]
        child.kill()
        for process in others:
            process.kill()
        self.kills += 1

    def until_taken(self, mailing: Mailing, number: int, within: float = 120) -> None:
        """Wait until the mail server has that many."""
        taken = until(lambda: mailing.taken() >= number, within)
        self.expect(taken, f"the server had not taken {number} after {within:.0f} s")

    def until_settled(
        self, mailing: Mailing, within: float = 120, *, hurried: bool = True
    ) -> None:
        """Wait until every delivery has a fate.

        Hurried: what was put off is due at once and the sweep comes every second, so
        that the minutes a site would wait are not waited here.
        """
        ends = time.monotonic() + within
        settled = False
        while not settled and time.monotonic() < ends:
            self.site.look_after()
            if hurried:
                self.hurry()
            settled = until(mailing.settled, 1)
        self.expect(settled, f"not every message had a fate after {within:.0f} s")

    def hurry(self) -> None:
        """What is queued for later is due now, and what crashes left is looked for."""
        later = Delivery.objects.filter(state=State.QUEUED, due_at__gt=timezone.now())
        try:
            later.update(due_at=timezone.now())
        except OperationalError:
            connection.close()
        self.hint("mail.sweep")
        self.hint("mail.send_due")

    def hint(self, task: str) -> None:
        """As good as `mail.hints`: one that gets lost is lost."""
        try:
            current_app.send_task(task, ignore_result=True, expires=5)
        except (BrokerAway, OSError):
            return

    def logged(self, text: str) -> bool:
        """Does a sender's log say so?"""
        logs = [sender.program.log for sender in self.site.senders]
        return any(text in log.read_text() for log in logs if log.exists())

    # --- Counting ------------------------------------------------------------------

    def expect_few_uncertain(self, connections: int) -> None:
        """A kill leaves at most one message in doubt a connection."""
        fates = [fate for one in self.mailings for fate in one.fates().values()]
        found, most = fates.count(State.UNCERTAIN), connections * self.kills
        self.expect(found <= most, f"{found} are uncertain, {most} may be")

    def counted(self, result: Result) -> Result:
        """`result` with what the journals say, now that all is over."""
        tallies = [self._counted(n, one) for n, one in enumerate(self.mailings, 1)]
        return replace(
            result,
            kills=self.kills,
            eligible=sum(one.eligible for one in tallies),
            accepted=sum(one.accepted for one in tallies),
            lost=sum(len(one.lost) for one in tallies),
            twice=sum(one.twice for one in tallies),
            uncertain=sum(len(one.uncertain) for one in tallies),
            complaints=self.complaints,
        )

    def _counted(self, number: int, mailing: Mailing) -> Tally:
        tally = count(
            mailing.eligible,
            mailing.entries(),
            mailing.fates(),
            self.unsubscribed,
            self.failing.get(mailing.batch, ()),
        )
        self.hint("mail.sweep")
        closed = until(mailing.is_closed, 20)
        self.expect(closed, f"batch {number} is open, or its sum does not hold")
        self.write(f"uncertain{number}", tally.uncertain)
        self.write(f"lost{number}", tally.lost)
        return tally

    def write(self, name: str, facts: Sequence[str]) -> None:
        """To be looked at afterwards: `name`.json."""
        with (self.folder / f"{name}.json").open("w") as file:
            json.dump(facts, file, indent=1)

    def close(self) -> None:
        """Nothing of this scenario goes on in the next."""
        batches = Batch.objects.filter(pk__in=[one.batch for one in self.mailings])
        batches.exclude(state=Batch.State.FINISHED).update(state=Batch.State.CANCELLED)
        mine = Recipient.objects.filter(address__startswith=self._prefix)
        mine.update(may_receive=False)
        connections.close_all()
