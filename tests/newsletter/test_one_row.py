"""One row for one mailbox: however it is spelt, and whoever comes at the same time."""

from threading import Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import assume, example, given, strategies

from ledger.sealing import seal
from ledger.verifying import verify
from mail import (
    Delivery,
    NotAnAddress,
    Recipient,
    TipMail,
    canonical_address,
    start_batch,
    token,
)
from newsletter import emails
from newsletter.models import ConsentEvent, SignUp, Subscriber
from newsletter.subscribing import (
    confirm,
    resolve_sign_ups,
    take_sign_up,
    unsubscribe,
)
from tests.newsletter.test_subscribing import (
    ROSA,
    link,
    publish_policies,
    subscribe,
)
from tests.racing import PowerCut, at_once, everything, power_cut

SPELLINGS = (
    *("rosa@bücher.example", "ROSA@BÜCHER.EXAMPLE", " Rosa@Bücher.Example\t"),
    *("rosa@xn--bcher-kva.example", "rosa@XN--BCHER-KVA.example"),
    # The dieresis on its own, as some keyboards type it.
    "rosa@bu\u0308cher.example",
)
LOCAL = strategies.from_regex(
    r"[A-Za-z0-9+_-]{1,10}(\.[A-Za-z0-9]{1,5})?", fullmatch=True
)
LABEL = strategies.text("abzäöüßéñçλжя漢字-09", min_size=2, max_size=8)
ANY = strategies.characters(codec="utf-8", exclude_characters="@")


@pytest.fixture
def open_site(cloned_database: str) -> None:
    """Where sign-ups are committed."""
    publish_policies()


def spelt(address: str, upper: list[bool]) -> str:
    """The address with some of its letters as capitals."""
    return "".join(
        char.upper() if up and len(char.upper()) == 1 else char
        for char, up in zip(address, upper * len(address), strict=False)
    )


@given(
    local=LOCAL,
    label=LABEL,
    upper=strategies.lists(strategies.booleans(), min_size=1, max_size=20),
    before=strategies.sampled_from(["", " ", "\t", "\u00a0"]),
    after=strategies.sampled_from(["", " ", "\r\n"]),
)
def test_case_spaces_and_encoding_of_the_domain_make_no_difference(
    local: str, label: str, upper: list[bool], before: str, after: str
) -> None:
    typed = f"{local}@{label}.example"
    try:
        known = canonical_address(typed)
    except NotAnAddress:
        assume(False)

    other = canonical_address(before + spelt(typed, upper) + after)

    assert other == known
    # What is stored is a fixed point: a second pass finds the same row.
    assert canonical_address(known) == known


@given(one=strategies.text(ANY, max_size=12), two=strategies.text(ANY, max_size=12))
@example(one="rosa", two="rоsa")
@example(one="rosa", two="ｒosa")
@example(one="kim", two="\u212aim")
@example(one="ros", two="ro\u017f")
@example(one="ros.a", two="rosa")
@example(one="rosa+tips", two="rosa")
def test_two_mailboxes_are_never_merged(one: str, two: str) -> None:
    """Only ASCII case is folded: what else differs is another person or refused."""
    assume(one.strip(" \t\r\n\u00a0").lower() != two.strip(" \t\r\n\u00a0").lower())
    found = set()
    for local in (one, two):
        try:
            found.add(canonical_address(f"{local}@example.com"))
        except NotAnAddress:
            found.add(local)

    assert len(found) == 2 or {one, two} & found == found


@pytest.mark.parametrize(
    "domain",
    [
        "exa\u217fple.com",
        "\uff45xample.com",
        "ex\u00adample.com",
        "exam\u200dple.com",
        "\u212aiwi.example",
    ],
)
def test_a_domain_that_only_looks_like_another_is_not_taken_for_it(
    domain: str,
) -> None:
    with pytest.raises(NotAnAddress):
        canonical_address(f"rosa@{domain}")


def test_many_at_once_make_one_subscriber_and_one_mail(
    open_site: None,
) -> None:
    take = [lambda typed=one: take_sign_up(typed) for one in SPELLINGS]
    assert at_once(*take) == [None] * len(SPELLINGS)
    assert SignUp.objects.count() == len(SPELLINGS)

    ends = at_once(*[resolve_sign_ups] * 4)

    assert sum(ends) == len(SPELLINGS)
    assert Recipient.objects.get().address == "rosa@xn--bcher-kva.example"
    assert Subscriber.objects.count() == 1
    assert Delivery.objects.filter(kind=Delivery.Kind.CONFIRMATION).count() == 1
    assert ConsentEvent.objects.count() == 2
    assert not SignUp.objects.exists()
    seal()
    assert verify().is_whole


def test_signing_up_while_it_is_resolved_makes_one_mail_a_day(
    open_site: None,
) -> None:
    def sign_up_and_resolve() -> None:
        take_sign_up(ROSA)
        resolve_sign_ups()

    assert at_once(*[sign_up_and_resolve] * 8) == [None] * 8
    resolve_sign_ups()

    assert Subscriber.objects.count() == Delivery.objects.count() == 1
    assert not SignUp.objects.exists()


def test_workers_share_what_waits(
    open_site: None,
) -> None:
    for number in range(40):
        take_sign_up(f"{number}@example.com")

    ends = at_once(*[resolve_sign_ups] * 3)

    assert sum(ends) == 40
    assert Subscriber.objects.count() == Delivery.objects.count() == 40


@pytest.mark.parametrize("time", range(5))
def test_confirming_while_the_same_address_signs_up_again_ends_well(
    open_site: None,
    time: int,
) -> None:
    subscribe()
    text = link()
    Delivery.objects.update(dated_at="2026-01-01T00:00Z")
    take_sign_up(ROSA)

    confirmed, resolved = at_once(lambda: confirm(text), resolve_sign_ups)

    assert resolved == 1
    assert confirmed is None or isinstance(confirmed, Subscriber)
    assert Subscriber.objects.count() == 1


def test_a_batch_that_is_being_made_keeps_nobody_from_leaving(
    open_site: None,
) -> None:
    subscribe()
    confirm(link())
    recipient = Recipient.objects.get()
    leaving = token("unsubscribe", recipient.key)
    with transaction.atomic(), connection.cursor() as cursor:
        # Each delivery refers to its mailbox: that is looked at as late as the commit,
        # which takes seconds where they are a million.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        start_batch(
            name="tip",
            mail=TipMail("Rest", "<html><body>x</body></html>", "x"),
            recipients=Recipient.objects.all(),
            due_at=timezone.now(),
        )

        other = Thread(target=lambda: at_once(lambda: unsubscribe(leaving)))
        other.start()
        other.join(timeout=10)
        is_waiting = other.is_alive()

    other.join()
    assert not is_waiting
    assert not Recipient.objects.get().may_receive


def test_a_row_that_cannot_be_resolved_keeps_nobody_waiting(
    open_site: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_sign_up("bad@example.com")
    take_sign_up(ROSA)
    mail = emails.confirmation

    def fails_for_one(subscriber: Subscriber) -> None:
        if subscriber.recipient.address != ROSA:
            raise ValueError("no such template")
        mail(subscriber)

    monkeypatch.setattr(emails, "confirmation", fails_for_one)
    with pytest.raises(ExceptionGroup) as caught:
        resolve_sign_ups()

    assert "bad@" not in repr(caught.value)
    assert Subscriber.objects.get().recipient.address == ROSA
    assert SignUp.objects.get().address == "bad@example.com"

    monkeypatch.undo()
    assert resolve_sign_ups() == 1


def test_a_worker_that_dies_half_way_leaves_the_sign_up_as_it_was(
    open_site: None,
) -> None:
    take_sign_up(ROSA)
    before, writes = everything(), 0
    while True:
        try:
            with power_cut(writes):
                resolve_sign_ups()
            break
        except PowerCut:
            assert everything() == before
            writes += 1

    assert writes >= 8
    assert Subscriber.objects.count() == Delivery.objects.count() == 1
    assert not SignUp.objects.exists()
