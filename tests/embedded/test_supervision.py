"""A child that dies is started again, with growing pauses, and not for ever."""

import pytest

from twitchsite.embedded import CannotStart
from twitchsite.embedded.supervision import MOST_DEATHS, Watch


class Mortal:
    """A service that dies when told to."""

    name = "worker"

    def __init__(self) -> None:
        self.alive = True
        self.starts = 0
        self.can_start = True

    def start(self) -> None:
        if not self.can_start:
            raise CannotStart("no room")
        self.starts += 1
        self.alive = True

    def stop(self) -> None:
        self.alive = False

    def is_running(self) -> bool:
        return self.alive

    def ending(self) -> str:
        return "was ended by SIGKILL"

    def last_lines(self) -> list[str]:
        return ["its last words"]


@pytest.fixture
def mortal() -> Mortal:
    return Mortal()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def watch(mortal: Mortal, told: list[str]) -> Watch:
    return Watch([mortal], told.append)


def test_a_living_child_is_left_alone(watch: Watch, told: list[str]) -> None:
    watch.look(0)

    assert told == []


def test_a_dead_child_is_started_again_after_a_pause(
    watch: Watch, mortal: Mortal, told: list[str]
) -> None:
    mortal.alive = False
    watch.look(0)
    watch.look(0.4)
    assert mortal.starts == 0

    watch.look(0.6)

    assert mortal.starts == 1
    assert told == [
        "worker was ended by SIGKILL; starting it again in 0.5 s",
        "worker is running again",
    ]


def test_pauses_grow(watch: Watch, mortal: Mortal, told: list[str]) -> None:
    for now in (0, 10, 20):
        mortal.alive = False
        watch.look(now)
        watch.look(now + 5)

    pauses = [line.partition("again in ")[2] for line in told if "ended" in line]
    assert pauses == ["0.5 s", "1 s", "2 s"]


def test_it_gives_up_on_a_child_that_keeps_dying(watch: Watch, mortal: Mortal) -> None:
    for now in range(MOST_DEATHS):
        mortal.alive = False
        watch.look(now * 10)
        watch.look(now * 10 + 9)
    mortal.alive = False

    with pytest.raises(CannotStart) as refused:
        watch.look(55)

    assert refused.value.problem == "worker ended 6 times within a minute."
    assert refused.value.lines == ["its last words"]


def test_deaths_long_ago_are_forgiven(watch: Watch, mortal: Mortal) -> None:
    for now in range(20):
        mortal.alive = False
        watch.look(now * 100)
        watch.look(now * 100 + 50)

    assert mortal.starts == 20


def test_a_start_that_fails_counts_as_a_death(
    watch: Watch, mortal: Mortal, told: list[str]
) -> None:
    mortal.alive = mortal.can_start = False
    watch.look(0)

    watch.look(1)

    assert told[-1] == "worker did not start (no room); starting it again in 1 s"
