import time

from mail.bounces import weigh_refusals

# Of a sender's time, what it may spend on counting refusals.
SHARE = 0.02
# So long every refusal is weighed at once.
QUICK_SECONDS = 0.05


class Weighing:
    """Weighs a batch's refusals at once, or of a large one now and then.

    Each time all of the batch is counted. With half a million accepted that takes half
    a second, and a mail server may refuse thousands of full mailboxes. `finish` makes
    up for what was left out.
    """

    def __init__(self) -> None:
        self._next_at: dict[int, float] = {}
        self._left_out: set[int] = set()

    def note(self, batch_id: int | None) -> None:
        """Something of the batch was refused; None is a single mail."""
        if batch_id is None:
            return
        if time.monotonic() >= self._next_at.get(batch_id, 0):
            self._weigh(batch_id)
        else:
            self._left_out.add(batch_id)

    def catch_up(self) -> None:
        """With what was left out and has waited long enough."""
        for batch_id in list(self._left_out):
            self.note(batch_id)

    def finish(self) -> None:
        for batch_id in list(self._left_out):
            self._weigh(batch_id)

    def _weigh(self, batch_id: int) -> None:
        begun = time.monotonic()
        weigh_refusals(batch_id)
        ended = time.monotonic()
        took = ended - begun
        self._next_at[batch_id] = ended + (took / SHARE if took > QUICK_SECONDS else 0)
        self._left_out.discard(batch_id)
