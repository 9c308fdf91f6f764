"""What mail servers do wrong: the fault table, and the slow ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.contrib.auth.models import User
from django.utils import timezone

from mail import Batch, Delivery, Recipient, resume
from tests.chaos import journal
from tests.chaos.faults import EIGHT_BIT, Fault, Plan, Step
from tests.chaos.site import DEADLINE_SECONDS, until
from tests.chaos.trial import Mailing, Trial

State = Delivery.State
LATE = DEADLINE_SECONDS + 1
# Longer than any deadline, and than the trial.
ENDLESS = 600


@dataclass(frozen=True)
class Row:
    """A row of the table: the fault, and what its victims are to become."""

    fault: Fault
    fate: Delivery.State = State.QUEUED
    # The server took the message in spite of it.
    taken: bool = False
    suppresses: bool = False
    # By whoever connects, not by message.
    connects: bool = False
    pauses: bool = False

    def __str__(self) -> str:
        return str(self.fault)

    @property
    def end(self) -> Delivery.State:
        """What is put off is accepted in the end."""
        return State.ACCEPTED if self.fate == State.QUEUED else self.fate

    @property
    def taken_in_the_end(self) -> bool:
        return self.taken or self.end == State.ACCEPTED


def _replies(step: Step, *replies: str, **row: object) -> list[Row]:
    return [Row(Fault(step, reply), **row) for reply in replies]  # type: ignore[arg-type]


ENVELOPE = (Step.MAIL, Step.RCPT, Step.DATA)
TABLE = [
    Row(Fault(Step.CONNECT), connects=True),
    Row(Fault(Step.CONNECT, "421 4.3.2 Busy"), connects=True),
    Row(Fault(Step.CONNECT, "554 5.3.2 Closed", hangs_up=True), connects=True),
    Row(Fault(Step.EHLO), connects=True),
    Row(Fault(Step.EHLO, "421 4.3.2 Busy"), connects=True),
    *(Row(Fault(step)) for step in ENVELOPE),
    *(row for step in ENVELOPE for row in _replies(step, "421 4.3.2 Busy")),
    *(row for step in ENVELOPE for row in _replies(step, "451 4.3.0 Try later")),
    *_replies(Step.MAIL, "550 5.7.1 Not you", pauses=True),
    *_replies(Step.RCPT, "550 5.1.1 Unknown", fate=State.REFUSED, suppresses=True),
    *_replies(Step.DATA, "550 5.6.0 No", fate=State.REFUSED),
    Row(Fault(Step.BODY), State.UNCERTAIN),
    *_replies(Step.DOT, "421 4.3.2 Busy", "451 4.3.0 Try later"),
    *_replies(Step.DOT, "550 5.6.0 Not this", fate=State.REFUSED),
    Row(Fault(Step.TAKEN), State.UNCERTAIN, taken=True),
    Row(
        Fault(Step.TAKEN, "250 2.0.0 Late", wait_seconds=LATE),
        State.UNCERTAIN,
        taken=True,
    ),
    Row(
        Fault(Step.TAKEN, "250 2.0.0 Taken", hangs_up=True),
        State.ACCEPTED,
        taken=True,
    ),
]
# What everybody else is in all of them.
UNTROUBLED = Row(Fault(Step.TAKEN, "no fault"), State.ACCEPTED)
SLOW_ANSWERS = (
    Fault(Step.RCPT, "250 2.1.5 Recipient, in a little while"),
    Fault(Step.DATA, "354 Go on, in a little while"),
    Fault(Step.TAKEN, "250 2.0.0 Taken, in a little while"),
)
PEOPLE, VICTIMS = 200, 20
# One more, and a sender would leave the server alone for a quarter of a minute.
STRUCK_CONNECTIONS = 4


def faults(trial: Trial) -> None:
    """Each row of the table strikes 20 of 200; every other seed is not pipelined."""
    plan = Plan() if trial.seed % 2 else Plan(offers=(EIGHT_BIT,))
    addresses = trial.people(PEOPLE)
    for row in TABLE:
        victims = trial.random.sample(addresses, VICTIMS)
        if row.connects:
            _connecting(trial, plan, row)
        elif row.pauses:
            _pausing(trial, plan, row, victims)
        else:
            _striking(trial, plan, row, victims)
        Recipient.objects.update(suppressed_at=None, suppression="")


def mixed(trial: Trial) -> None:
    """All rows that strike a message and not its sender, in one batch."""
    rows = [row for row in TABLE if not row.connects and not row.pauses]
    addresses = trial.people(trial.size(1000, 150))
    struck = trial.random.sample(addresses, trial.size(10, 2) * len(rows))
    victims = {address: rows[n % len(rows)] for n, address in enumerate(struck)}
    mailing = trial.mail(Plan(), {one: row.fault for one, row in victims.items()})
    trial.until_settled(mailing, 60)
    _expect_ends(trial, mailing, victims)


def _connecting(trial: Trial, plan: Plan, row: Row) -> None:
    """It strikes connections before anything is said of a message."""
    fault = replace(row.fault, times=STRUCK_CONNECTIONS)
    mailing = trial.mail(replace(plan, connections=fault))
    trial.until_settled(mailing, 90)
    _expect_ends(trial, mailing, {})


def _striking(trial: Trial, plan: Plan, row: Row, victims: list[str]) -> None:
    """The victims are at once what the table says; those put off arrive later."""
    mailing = trial.mail(plan, dict.fromkeys(victims, row.fault))
    _expect_rest(trial, mailing, row)
    # Next on a connection that closed after its 250, a message is put off unstruck.
    met = {row.fate, State.QUEUED} if row.fate == State.ACCEPTED else {row.fate}
    fates = mailing.fates()
    wrong = sorted({fates[one] for one in victims} - met)
    trial.expect(not wrong, f"{row}: some victims were {wrong}, not {row.fate}")
    trial.until_settled(mailing, 60)
    _expect_ends(trial, mailing, dict.fromkeys(victims, row))


def _pausing(trial: Trial, plan: Plan, row: Row, victims: list[str]) -> None:
    """The sender was refused: the batch waits for a person, who lets it go on."""
    mailing = trial.mail(plan, dict.fromkeys(victims, row.fault))
    _expect_rest(trial, mailing, row)
    batch = Batch.objects.filter(pk=mailing.batch)
    trial.expect(batch.get().state == Batch.State.PAUSED, f"{row}: the batch ran on")
    trial.site.serve(mailing.journal, plan)
    nadia, _ = User.objects.get_or_create(username="nadia")
    trial.expect(resume(mailing.batch, by=nadia), f"{row}: it could not be resumed")
    trial.until_settled(mailing, 60)
    _expect_ends(trial, mailing, dict.fromkeys(victims, row))


def _expect_rest(trial: Trial, mailing: Mailing, row: Row) -> None:
    rested = until(lambda: _at_rest(mailing), 60)
    trial.expect(rested, f"{row}: still under way after 60 s")


def _at_rest(mailing: Mailing) -> bool:
    """Nothing is under way and nothing is due: what the server did has been noted."""
    batch = Batch.objects.get(pk=mailing.batch)
    left = Delivery.objects.unfinished().filter(batch=batch)
    busy = left.exclude(state=State.QUEUED).exists()
    due = left.filter(due_at__lte=timezone.now()).exists()
    return not busy and (not due or batch.state == Batch.State.PAUSED)


def _expect_ends(trial: Trial, mailing: Mailing, victims: Mapping[str, Row]) -> None:
    """Each victim as its row says, everybody else accepted; nobody else suppressed."""
    trial.failing[mailing.batch] = {
        address for address, row in victims.items() if not row.taken_in_the_end
    }
    fates = mailing.fates()
    taken = journal.taken(mailing.entries())
    suppressed = set(
        Recipient.objects.exclude(suppressed_at=None).values_list("address", flat=True)
    )
    for address in mailing.eligible:
        row = victims.get(address, UNTROUBLED)
        found = _in_words(fates[address], taken[address], address in suppressed)
        said = _in_words(row.end, int(row.taken_in_the_end), row.suppresses)
        trial.expect(found == said, f"{row}: {address} is {found}; not {said}")


def _in_words(fate: str, times: int, suppressed: bool) -> str:
    return f"{fate}, taken {times} times" + ", suppressed" * suppressed


def tarpit(trial: Trial) -> None:
    """A deadline holds: the answer would come after ten minutes."""
    _slow(trial, [replace(one, wait_seconds=ENDLESS) for one in SLOW_ANSWERS])


def dripping(trial: Trial) -> None:
    """A deadline holds for the whole message, though each octet comes in time."""
    _slow(trial, [replace(one, drip_seconds=1) for one in SLOW_ANSWERS])


def _slow(trial: Trial, answers: list[Fault]) -> None:
    """A few such servers hold up nobody else's mail, and none of them for long."""
    addresses = trial.people(PEOPLE)
    for answer in answers:
        fate = State.UNCERTAIN if answer.step is Step.TAKEN else State.QUEUED
        row = Row(answer, fate, taken=answer.step is Step.TAKEN)
        _striking(trial, Plan(), row, trial.random.sample(addresses, 8))
