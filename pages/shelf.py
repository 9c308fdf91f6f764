"""Ready pages by their addresses, in bounded memory: the least used ones go first."""

from collections import OrderedDict
from threading import Lock

from pages.ready import Page


class Shelf:
    """Holds `most` bytes. Looking needs no lock, whoever else changes what is there."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._pages)

    def get(self, address: str) -> Page | None:
        try:
            self._pages.move_to_end(address)
            return self._pages[address]
        except KeyError:
            return None

    def put(self, address: str, page: Page) -> None:
        """In place of what was there; one that takes an eighth of all is not kept."""
        with self._lock:
            self._take(address)
            if page.size > self.most // 8:
                return
            self._pages[address] = page
            self.size += page.size
            while self.size > self.most:
                self.size -= self._pages.popitem(last=False)[1].size

    def drop(self, address: str) -> None:
        with self._lock:
            self._take(address)

    def _take(self, address: str) -> None:
        if (old := self._pages.pop(address, None)) is not None:
            self.size -= old.size
