"""A batch's figures and its manifest: readable, countable, checkable."""

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from mail import Batch, Delivery, Recipient, start_batch
from mail.manifest import manifest, manifest_digest
from mail.pausing import pause
from tests.mail.test_batches import settle
from tests.mail.test_sending import TIP, person, tip_for_everybody
from tests.people import person as staff

State = Delivery.State


def said(*args: str) -> str:
    out = io.StringIO()
    call_command("batchreport", *args, stdout=out)
    return out.getvalue()


def ended() -> Batch:
    for name in ("a", "b", "c", "d"):
        person(name)
    batch = tip_for_everybody()
    settle("a", State.ACCEPTED, "")
    settle("b", State.REFUSED, "SMTP 550")
    settle("c", State.DROPPED, "unsubscribed")
    settle("d", State.UNCERTAIN, "its worker vanished")
    return batch


def test_a_person_reads_what_became_of_it(db: None) -> None:
    batch = ended()

    text = said(str(batch.pk))

    assert "  refused           1   SMTP 550 (1)\n" in text
    assert "The sum holds: 4 = 1 + 1 + 1 + 1." in text
    assert "complaints   0 of 1 accepted (0.00 %)" in text


def test_what_is_not_ended_or_does_not_hold_says_so(db: None) -> None:
    batch = ended()
    settle("d", State.QUEUED)
    assert "Not ended: 1 of 4 wait for a fate." in said(str(batch.pk))

    Delivery.objects.filter(state=State.QUEUED).delete()

    assert "THE SUM DOES NOT HOLD: 4 were eligible" in said(str(batch.pk))


def test_who_did_what_is_in_it(db: None) -> None:
    batch = ended()
    pause(batch.pk, reason="a typing error", by=staff("nadia"))

    text = said(str(batch.pk))

    assert "paused: a typing error" in text
    assert "paused by nadia: a typing error" in text


def test_programs_read_the_same(db: None) -> None:
    found = json.loads(said(str(ended().pk), "--json"))

    assert found["eligible"] == 4
    assert [found[one] for one in ("accepted", "refused", "dropped", "uncertain")] == [
        1
    ] * 4
    assert found["add_up"] is True
    assert found["reasons"]["refused"] == {"SMTP 550": 1}
    assert found["seconds"] == 0


def test_without_a_number_the_newest_are_listed(db: None) -> None:
    assert said() == "No batch was ever started.\n"
    person("rosa")
    for number in range(12):
        start_batch(
            name=f"tip {number}",
            mail=TIP,
            recipients=Recipient.objects.all(),
            due_at=timezone.now(),
        )

    lines = said().splitlines()

    assert lines[0].split()[:3] == ["batch", "state", "eligible"]
    assert [line.rsplit("  ", 1)[-1] for line in lines[1:]] == [
        f"tip {number}" for number in range(11, 1, -1)
    ]
    assert len(json.loads(said("--json"))) == 10


def test_an_unknown_batch_is_an_error_in_a_sentence(db: None) -> None:
    with pytest.raises(CommandError, match="There is no batch 7"):
        said("7")
    with pytest.raises(CommandError, match="Say of which batch"):
        said("--manifest")


def lines_of(batch: Batch) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(manifest(batch)).splitlines()]


def test_the_manifest_lists_each_delivery_without_an_address(db: None) -> None:
    batch = ended()

    first, *rest = lines_of(batch)

    assert first["message_sha256"] == sha256(bytes(batch.message)).hexdigest()
    assert first["eligible"] == 4
    counted = {one["state"]: one["count"] for one in rest if "count" in one}
    listed = [(one["key"], one["state"]) for one in rest if "key" in one]
    assert sum(counted.values()) == 4
    rows = Delivery.objects.values_list("key", "state")
    assert listed == sorted((str(key), state) for key, state in rows)
    assert b"@example.com" not in b"".join(manifest(batch))


def test_what_entitled_it_to_start_is_in_the_manifest(db: None) -> None:
    person("rosa")
    batch = start_batch(
        name="tip",
        mail=TIP,
        recipients=Recipient.objects.all(),
        due_at=timezone.now(),
        warrant={"sign_off_digest": "ab", "ledger_head": "cd"},
    )
    assert batch is not None

    first, *_ = lines_of(batch)

    assert first["at_start_sign_off_digest"] == "ab"
    assert first["at_start_ledger_head"] == "cd"


def test_the_digest_is_that_of_what_is_printed(
    db: None, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    batch = ended()

    call_command("batchreport", str(batch.pk), "--manifest")

    printed = capfdbinary.readouterr().out
    assert sha256(printed).hexdigest() == manifest_digest(batch)


def test_the_digest_tells_one_changed_fate(db: None) -> None:
    batch = ended()
    before = manifest_digest(batch)
    assert manifest_digest(batch) == before

    settle("d", State.ACCEPTED)

    assert manifest_digest(batch) != before


def test_the_batchs_page_shows_counts_digest_and_deeds(
    db: None, settings: Settings, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    nadia = staff("nadia", "newsletter manager")
    client = Client(headers={"X-Forwarded-Proto": "https"})
    client.force_login(nadia)
    batch = ended()
    pause(batch.pk, reason="a typing error", by=nadia)

    page = f"/admin/mail/batch/{batch.pk}/change/"
    text = client.get(page).content.decode()
    asked = client.get(f"{page}?manifest=1").content.decode()

    assert manifest_digest(batch) in asked
    assert manifest_digest(batch) not in text
    assert 'href="?manifest=1#manifest"' in text
    assert "The sum holds: 4 eligible" in text
    assert "paused by nadia: a typing error" in text
    assert f"?state__exact=uncertain&amp;batch={batch.pk}" in text
