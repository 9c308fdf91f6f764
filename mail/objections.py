"""What other rooms have against a batch that a person wants to go on.

Mail knows no sign-offs. Who starts batches registers a question here, when its app is
ready, and every door that lets one go on (`batches.resume`, `uncertain.resend`) asks.
"""

from collections.abc import Callable, Collection

from django.db import transaction

# Batches' ids in; out come those that may not go on, and why, each as a sentence.
# Asked inside the transaction that lets them go on, before any row of theirs is locked:
# what the answer depends on is held until then.
Question = Callable[[Collection[int]], dict[int, str]]
_questions: list[Question] = []


class MayNotGoOn(Exception):
    """The text of a batch may not be sent now, and why, as a sentence."""


def ask_before_going_on(question: Question) -> None:
    _questions.append(question)


@transaction.atomic
def objections(batch_ids: Collection[int]) -> dict[int, str]:
    """The batches among these that may not go on, and why."""
    found: dict[int, str] = {}
    for question in _questions:
        found |= question(batch_ids)
    return found


def refuse_unfit(batch_ids: Collection[int]) -> None:
    """Raises MayNotGoOn if anything is said against one of these batches."""
    for reason in objections(batch_ids).values():
        raise MayNotGoOn(reason)
