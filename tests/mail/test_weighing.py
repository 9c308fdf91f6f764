"""Refusals are weighed at once, and of a large batch not at each of them."""

import pytest

from mail.weighing import Weighing


class Scales:
    """Counts what is weighed; each time takes as long as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.takes = 1000.0, 0.001
        self.weighed: list[int] = []
        monkeypatch.setattr("mail.weighing.weigh_refusals", self._weigh)
        monkeypatch.setattr("mail.weighing.time.monotonic", lambda: self.now)

    def _weigh(self, batch_id: int) -> None:
        self.weighed.append(batch_id)
        self.now += self.takes


@pytest.fixture
def scales(monkeypatch: pytest.MonkeyPatch) -> Scales:
    return Scales(monkeypatch)


def test_each_refusal_is_weighed_while_that_is_quick(scales: Scales) -> None:
    refusals = Weighing()

    for _ in range(5):
        refusals.note(1)

    assert scales.weighed == [1] * 5


def test_a_large_batch_takes_its_share_of_the_time_and_no_more(scales: Scales) -> None:
    refusals, scales.takes = Weighing(), 0.5

    for _ in range(100):
        refusals.note(1)
        scales.now += 1

    # Half a second's work every 25 seconds and a bit.
    assert len(scales.weighed) == 4


def test_one_batch_keeps_no_other_one_from_being_weighed(scales: Scales) -> None:
    refusals, scales.takes = Weighing(), 0.5

    refusals.note(1)
    refusals.note(2)

    assert scales.weighed == [1, 2]


def test_what_was_left_out_is_weighed_in_the_end(scales: Scales) -> None:
    refusals, scales.takes = Weighing(), 0.5
    refusals.note(1)
    refusals.note(1)
    refusals.note(None)

    refusals.finish()
    refusals.finish()

    assert scales.weighed == [1, 1]
