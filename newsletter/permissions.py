"""Who may do what to tips (docs/roles.md)."""

from django.contrib.auth.models import User

from newsletter.models import TipRevision

# What newsletter managers have, and editors.
REVISE, PUBLISH = "newsletter.add_tiprevision", "articles.publish"


def may_revise(user: User) -> bool:
    return user.has_perm(REVISE)


def may_submit(user: User, revision: TipRevision) -> bool:
    """Newsletter managers and whoever may submit any text."""
    return may_revise(user) or user.has_perm("articles.submit")


def may_run_issues(user: User) -> bool:
    """Pause, resume, cancel and correct what is sent."""
    return user.has_perm("newsletter.run_schedule")


# Whose data one may see, and what one may do with them.
BLOCK, LIFT_BLOCK = "newsletter.block_subscriber", "newsletter.lift_block"
PROVE = "newsletter.prove_consent"
