from datetime import date

from django.contrib.auth.models import User
from django.db import transaction

from articles.editing import newest_revision
from articles.models import Article, Revision
from articles.refusals import Refused
from ledger import is_redacted
from review import Clinician, NotAllowedToSign, ReviewRequest, note_newer_text, request


@transaction.atomic
def submit(
    revision: Revision,
    *,
    by: User,
    assignee: Clinician | None = None,
    due_on: date | None = None,
    note: str = "",
) -> ReviewRequest:
    """Ask the clinicians for a verdict on exactly this revision.

    Raises Refused for a policy, a redacted text, and an assignee who can't sign it.
    """
    if revision.article.kind == Article.Kind.POLICY:
        raise Refused("Policies are the operator's own word: no clinician signs them.")
    if is_redacted(revision):
        raise Refused("This text was taken away for a lawful reason.")
    try:
        asked = request(
            revision.content,
            subject=revision.article.subject,
            title=revision.title,
            url=revision.get_admin_url(),
            preview_url=revision.get_preview_url(),
            authors=revision.author_ids,
            by=by,
            assignee=assignee,
            due_on=due_on,
            note=note,
        )
    except NotAllowedToSign as error:
        raise Refused(str(error)) from error
    newest = newest_revision(revision.article)
    if newest:
        note_newer_text(revision.article.subject, newest.digest)
    return asked
