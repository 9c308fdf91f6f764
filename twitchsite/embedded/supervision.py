"""Keeping children alive, and knowing when that is hopeless."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from twitchsite.embedded.refusals import CannotStart

MOST_DEATHS = 5
WITHIN_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.5
LOOK_EVERY_SECONDS = 0.2


class Service(Protocol):
    """What can be started again."""

    @property
    def name(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def is_running(self) -> bool: ...
    def ending(self) -> str: ...
    def last_lines(self) -> list[str]: ...


@dataclass
class Watched:
    """One service, its deaths of the last minute, and when it is due to start."""

    service: Service
    deaths: deque[float] = field(default_factory=deque)
    starts_at: float | None = None

    def died(self, now: float) -> float:
        """Count a death; the pause before the next start, in seconds.

        Raises CannotStart when it died too often to hope.
        """
        self.deaths.append(now)
        while self.deaths[0] < now - WITHIN_SECONDS:
            self.deaths.popleft()
        if len(self.deaths) > MOST_DEATHS:
            raise CannotStart(
                f"{self.service.name} ended {len(self.deaths)} times within a minute.",
                lines=self.service.last_lines(),
            )
        pause = FIRST_PAUSE_SECONDS * (1 << len(self.deaths) - 1)
        self.starts_at = now + pause
        return pause


class Watch:
    """Looks after services; `tell` hears one line per event."""

    def __init__(
        self, services: Iterable[Service], tell: Callable[[str], None]
    ) -> None:
        self._watched = [Watched(service) for service in services]
        self._tell = tell

    def keep(self) -> None:
        """Until somebody interrupts. Raises CannotStart when it is hopeless."""
        while True:
            self.look(time.monotonic())
            time.sleep(LOOK_EVERY_SECONDS)

    def look(self, now: float) -> None:
        for watched in self._watched:
            if watched.starts_at is not None:
                if now >= watched.starts_at:
                    self._start(watched, now)
            elif not watched.service.is_running():
                self._mourn(watched, watched.service.ending(), now)

    def _start(self, watched: Watched, now: float) -> None:
        watched.starts_at = None
        try:
            watched.service.start()
        except CannotStart as error:
            self._mourn(watched, f"did not start ({error.problem})", now)
        else:
            self._tell(f"{watched.service.name} is running again")

    def _mourn(self, watched: Watched, how: str, now: float) -> None:
        pause = watched.died(now)
        self._tell(f"{watched.service.name} {how}; starting it again in {pause:g} s")
