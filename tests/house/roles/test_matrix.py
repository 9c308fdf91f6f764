"""W10: each cell of docs/roles.md is true by direct HTTP."""

from typing import Any

import pytest

from tests.house.roles.matrix import VERBS, WHO, Target, allows
from tests.house.roles.trials import TRIALS, Trial
from tests.house.roles.world import World, is_refused, writes

# The page itself opens for whoever may do this with any of its targets.
OPENS = (200, 302)


def test_every_row_is_tried() -> None:
    assert sorted(TRIALS) == sorted(VERBS)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("verb", VERBS)
def test_w10_a_cell_is_true(world: World, verb: str, who: str) -> None:
    trial, cell = TRIALS[verb], VERBS[verb].get(who, "")

    for target in trial.targets(world, world.users.get(who)):
        may = allows(cell, target)
        if "GET" in trial.methods:
            opens = may or (trial.refusals != (403,) and cell != "")
            look(world, trial, target, who, opens=opens)
        if "POST" in trial.methods:
            act(world, trial, target, who, may=may)


def look(world: World, trial: Trial, target: Target, who: str, *, opens: bool) -> None:
    """A GET shows or refuses, and changes nothing in either case."""
    before = writes()

    answer = world.clients[who].get(trial.url(target.obj))

    assert answer.status_code in OPENS if opens else is_refused(answer, who), target
    assert writes() == before, f"a GET wrote: {target}"


def act(world: World, trial: Trial, target: Target, who: str, *, may: bool) -> None:
    """A POST with a good form does it, or does nothing at all."""
    # A browser's POST is never empty: Django's token is in it.
    form = {"csrfmiddlewaretoken": "-", **trial.form(world, target.obj)}
    url = trial.url(target.obj)
    with world.unharmed():
        before = writes()

        answer = world.clients[who].post(url, form)

        if may:
            assert answer.status_code in OPENS, target
            assert not complaints(answer), target
            assert trial.done(target.obj), target
        else:
            refused = answer.status_code in trial.refusals
            assert is_refused(answer, who) or (who != "anonymous" and refused), target
            assert writes() == before, f"something was written: {target}"


def complaints(answer: Any) -> object:
    """What the form of a page that should have worked says instead."""
    context = getattr(answer, "context", None) or {}
    if answer.status_code == 302 or "form" not in context:
        return None
    return context["form"].errors
