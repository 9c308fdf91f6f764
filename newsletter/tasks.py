from celery import shared_task

from newsletter import (
    preferences,
    retention,
    scheduling,
    shortages,
    subscribing,
)


@shared_task(name="newsletter.resolve_sign_ups")
def resolve_sign_ups() -> None:
    subscribing.resolve_sign_ups()


@shared_task(name=preferences.RESOLVE)
def resolve_link_requests() -> None:
    preferences.resolve_link_requests()


@shared_task(name="newsletter.start_due_issues")
def start_due_issues() -> None:
    scheduling.hold_unfit_issues()
    scheduling.start_due_issues()


@shared_task(name=retention.RETAIN)
def retain() -> None:
    retention.let_go(seconds=retention.SECONDS_AT_ONCE)


@shared_task(name="newsletter.warn_of_shortages")
def warn_of_shortages() -> None:
    shortages.warn()
