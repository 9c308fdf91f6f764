"""docs/roles.md says what was agreed on: a cell that moved there moved on purpose."""

import pytest

from tests.house.roles.matrix import LISTS, ROLES, VERBS

# Who may, by what it is about; "policies" is what the operator has of an editor's work.
WRITERS = {"author": "own", "editor": "articles", "operator": "policies"}
EDITORS = {"editor": "articles", "operator": "policies"}
SUBMITTERS = {"author": "own", "editor": "articles"}
ASSIGNERS = {"author": "own", "editor": "x", "newsletter manager": "tips"}
CLINICIANS = {"clinician": "not own"}
NEWSLETTER = {"newsletter manager": "x"}
SENDERS = {"newsletter manager": "x", "operator": "x"}
OPERATOR = {"operator": "x"}
AGREED: dict[str, dict[str, str]] = {
    # Write and revise an own draft, upload pictures.
    **dict.fromkeys(
        ("draft/keep", "draft/autosave", "draft/save", "draft/discard"), WRITERS
    ),
    "draft/preview": WRITERS,
    "article/write": {**WRITERS, "author": "articles"},
    "picture/add": {"author": "x", "editor": "x"},
    "healthtip/revise": NEWSLETTER,
    # Revise another's, bring back, submit, assign.
    "revision/bring-back": EDITORS,
    "revision/submit": SUBMITTERS,
    "tiprevision/submit": {"editor": "x", "newsletter manager": "x"},
    **dict.fromkeys(("reviewrequest/assign", "reviewrequest/call-back"), ASSIGNERS),
    # Sign, request changes, decline, hand on; retract.
    "reviewrequest/answer": CLINICIANS,
    "reviewrequest/together": CLINICIANS,
    "reviewrequest/decline": CLINICIANS,
    "reviewrequest/hand-on": CLINICIANS,
    "signoff/retract": {"clinician": "own"},
    # Publish, schedule, withdraw, correct.
    "revision/publish": EDITORS,
    "revision/schedule": EDITORS,
    "article/cancel-schedule": EDITORS,
    "article/withdraw": EDITORS,
    "article/correct": EDITORS,
    "revision/publish-unsigned": {},
    # Sections, aliases, redirects.
    "article/change": EDITORS,
    "article/move": EDITORS,
    "section/add": {"editor": "x"},
    "section/change": {"editor": "x"},
    # Schedules and issues; deliveries.
    "schedule/add": NEWSLETTER,
    "schedule/change": NEWSLETTER,
    **dict.fromkeys(
        ("issue/pause", "issue/resume", "issue/cancel", "issue/correct"), NEWSLETTER
    ),
    **dict.fromkeys(
        ("delivery/settle_as_arrived", "delivery/settling-as-arrived"), SENDERS
    ),
    **dict.fromkeys(("delivery/resend", "delivery/resending"), SENDERS),
    # One subscriber at a time; what a person asks for.
    "subscriber/look": SENDERS,
    "subscriber/block": SENDERS,
    "subscriber/prove": OPERATOR,
    "subscriber/export": OPERATOR,
    "subscriber/erase": OPERATOR,
    # People and roles.
    "clinician/add": OPERATOR,
    "clinician/change": OPERATOR,
    "user/add": OPERATOR,
    "user/change": OPERATOR,
}


@pytest.mark.parametrize("verb", AGREED)
def test_w10_the_table_of_verbs_is_what_was_agreed(verb: str) -> None:
    assert VERBS[verb] == {role: AGREED[verb].get(role, "") for role in ROLES}


def test_w10_counts_are_seen_by_all_but_moderators() -> None:
    assert {role for role in ROLES if LISTS["leavingreason"][role] == "x"} == {
        *("author", "editor", "clinician", "newsletter manager", "operator")
    }
