from django.urls import reverse

from articles.models import ScheduledPublication
from mail import absolute, tell_staff


def publication_refused(plan: ScheduledPublication) -> None:
    """Who scheduled it hears why it did not happen, once."""
    if plan.requested_by is None:
        return
    article = reverse("admin:articles_article_change", args=[plan.article_id])
    tell_staff(
        plan.requested_by.email,
        "publication_refused",
        {
            "title": plan.revision.title,
            "number": plan.revision.number,
            "planned_for": plan.planned_for,
            "reason": plan.reason,
            "is_unchanged": plan.state == ScheduledPublication.State.REFUSED,
            "desk_url": absolute(article),
        },
        idempotency_key=f"publication-refused-{plan.pk}",
    )
