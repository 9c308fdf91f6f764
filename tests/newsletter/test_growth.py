"""Counts of who came, who left and why; erased people stay counted."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from articles.editing import revise
from articles.models import Article
from articles.publishing import publish
from ledger import attest
from mail import Recipient, token
from newsletter import consent, wording
from newsletter.growth import growth, reasons_for_leaving
from newsletter.models import ConsentEvent, LeavingReason, Subscriber, Wording
from newsletter.personal_data import forget
from newsletter.subscribing import confirm, unsubscribe
from newsletter.versions import Agreed, agreed_to
from review.charts import draw, nice_step
from review.periods import starts_of
from tests.articles.test_desk import browser
from tests.newsletter.test_importing import PROOF, brought
from tests.newsletter.test_subscribing import ROSA, link, policies, subscribe
from tests.people import person

__all__ = ["policies"]

GROWTH = "/admin/newsletter/leavingreason/"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def said(act: str, on: datetime, key: UUID | None = None) -> UUID:
    key = key or uuid4()
    attest(
        ConsentEvent(subscriber_key=key, matter="newsletter", act=act, occurred_at=on)
    )
    return key


def months() -> dict[date, tuple[int, int, int]]:
    steps = growth("month", NOW)
    return {
        one.starts_on: (one.confirmed, one.left, one.on_the_list)
        for one in steps
        if one.confirmed or one.left
    }


# --- Growth --------------------------------------------------------------------------


def test_two_years_are_shown_whole(db: None) -> None:
    by_month, by_week = starts_of("month", NOW), starts_of("week", NOW)

    assert (by_month[0], by_month[-1]) == (date(2024, 12, 1), date(2026, 11, 1))
    assert (len(by_month), len(by_week)) == (24, 104)
    assert by_week[-1] == date(2026, 11, 23)
    assert {one.weekday() for one in by_week} == {0}
    assert [one.on_the_list for one in growth("week", NOW)] == [0] * 104


def test_who_came_and_left_counts_in_that_month(db: None) -> None:
    rosa = said("confirmed", NOW - timedelta(days=60))
    said("confirmed", NOW - timedelta(days=60))
    said("withdrawn", NOW, rosa)

    assert months() == {date(2026, 9, 1): (2, 0, 2), date(2026, 11, 1): (0, 1, 1)}
    assert [one.net for one in growth("month", NOW)][-3:] == [2, 0, -1]
    assert growth("week", NOW)[-1].left == 1


def test_who_came_before_is_on_the_list_at_the_start(db: None) -> None:
    said("confirmed", NOW - timedelta(days=1000))

    assert {one.on_the_list for one in growth("month", NOW)} == {1}
    assert months() == {}


def test_nobody_comes_or_leaves_twice(db: None) -> None:
    rosa = said("confirmed", NOW - timedelta(days=3))
    said("confirmed", NOW - timedelta(days=2), rosa)
    said("withdrawn", NOW - timedelta(days=1), rosa)
    said("erased", NOW, rosa)
    never_confirmed = said("requested", NOW)
    said("erased", NOW, never_confirmed)

    assert months() == {date(2026, 11, 1): (1, 1, 0)}


def test_coming_back_counts_again(db: None) -> None:
    rosa = said("confirmed", NOW - timedelta(days=3))
    said("withdrawn", NOW - timedelta(days=2), rosa)
    said("confirmed", NOW - timedelta(days=1), rosa)

    assert months() == {date(2026, 11, 1): (2, 1, 1)}


def test_who_was_erased_stays_counted(policies: None) -> None:
    subscribe()
    confirm(link())
    forget(Subscriber.objects.get())

    last = growth("month")[-1]

    assert (last.confirmed, last.left, last.on_the_list) == (1, 1, 0)


def test_a_change_of_mind_about_topics_is_no_turn(policies: None) -> None:
    subscribe()
    confirm(link())
    consent.changed(Subscriber.objects.get(), timezone.now())

    assert (growth("week")[-1].confirmed, growth("week")[-1].left) == (1, 0)


def test_who_came_in_with_a_trusted_file_came_once(db: None) -> None:
    brought(PROOF, trust_evidence=True)
    brought(PROOF.replace(ROSA, "tom@example.com"))
    unsubscribe(token("unsubscribe", Recipient.objects.get(address=ROSA).key))

    last = growth("month")[-1]

    assert (last.confirmed, last.left, last.on_the_list) == (1, 1, 0)


# --- Reasons -------------------------------------------------------------------------


def test_every_reason_has_a_number_for_every_month(db: None) -> None:
    shown = starts_of("month", NOW)
    for month, reason, number in (
        (shown[0], "too often", 3),
        (shown[-1], "too often", 4),
        (date(2020, 1, 1), "too often", 50),
        (shown[-1], "other", 1),
    ):
        LeavingReason.objects.create(month=month, reason=reason, count=number)

    found = {one.reason: one for one in reasons_for_leaving(shown)}

    assert list(found) == [one.capitalize() for one in LeavingReason.Reason.values]
    assert found["Too often"].counts == [3, *[0] * 22, 4]
    assert (found["Other"].total, found["Better now"].total) == (1, 0)


# --- The plot ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "step"),
    [(0, 1), (4, 1), (5, 2), (21, 10), (1_742, 500), (10**7, 5 * 10**6)],
)
def test_few_lines_cross_a_chart(span: int, step: int) -> None:
    assert nice_step(span) == step


def test_bars_are_as_long_as_their_numbers() -> None:
    chart = draw(["a", "b"], [10, 5], [0, 5], net=[10, 0])

    tall, half, down = chart.bars
    assert tall.height == pytest.approx(2 * half.height, abs=0.02)
    assert down.height == pytest.approx(half.height, abs=0.02)
    assert (tall.y + tall.height, down.y) == pytest.approx((chart.zero,) * 2, abs=0.02)
    assert all(0 <= one.x <= one.x + one.width <= chart.width for one in chart.bars)
    assert all(0 <= one.y <= one.y + one.height <= chart.height for one in chart.bars)
    (_, first), (_, second) = (one.split(",") for one in chart.line.split())
    assert float(first) == pytest.approx(tall.y, abs=0.02)
    assert float(second) == pytest.approx(chart.zero, abs=0.02)


def test_a_net_loss_stays_inside_the_chart() -> None:
    chart = draw(["a"], [0], [7], net=[-7])

    assert float(chart.line.split(",")[1]) <= chart.height


def test_nothing_at_all_is_a_chart_too() -> None:
    assert draw(["a"], [0], [0]).bars == []


@pytest.fixture
def edith(db: None, settings: Settings, tmp_path: Path) -> Client:
    settings.STATIC_ROOT = tmp_path
    return browser(person("edith", "editor"))


@pytest.mark.parametrize("by", ["", "?by=week", "?by=month", "?by=%27"])
def test_the_plot_is_drawn_without_script_or_style(edith: Client, by: str) -> None:
    said("confirmed", timezone.now())
    LeavingReason.objects.create(month=starts_of("month")[-1], reason="other", count=9)

    page = edith.get(GROWTH + by).content.decode()

    drawn = page.partition('<div id="content-main"')[2].partition("<footer")[0]
    assert drawn.count("<svg") == 1 + len(LeavingReason.Reason.values)
    assert drawn.count("chart__bar--up") == 2
    assert "style=" not in drawn
    assert "<script" not in drawn
    assert "<strong>1</strong> person is on the list" in drawn
    assert re.search(
        r"<td class=\"number\">\+1</td>\s*<td class=\"number\">1</td>", drawn
    )


def test_the_plot_asks_the_database_a_few_times(
    edith: Client, django_assert_max_num_queries: object
) -> None:
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        edith.get(GROWTH)


# --- Words and Terms -----------------------------------------------------------------


def test_changed_words_and_terms_are_counted_apart(
    policies: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rosa", "rita", "ruth"):
        subscribe(f"{name}@example.com")
        if name != "ruth":
            confirm(link())
    old_terms = ConsentEvent.objects.filter(matter="terms").first()
    old_words = Wording.objects.get()
    unsubscribe(
        token("unsubscribe", Recipient.objects.get(address="rita@example.com").key)
    )
    before = list(ConsentEvent.objects.order_by("pk").values())

    monkeypatch.setattr(wording, "PURPOSE", "Get whatever we like to send.")
    terms = Article.objects.get(slug="terms")
    content = {"title": "terms", "summary": "new", "body": "<p>You owe us.</p>"}
    new_terms = publish_new(terms, content)
    subscribe("otto@example.com")
    confirm(link())

    assert old_terms
    new_words = Wording.objects.exclude(pk=old_words.pk).get()
    assert agreed_to("wording") == {
        old_words.pk: Agreed(confirmed=2, still_on_the_list=1),
        new_words.pk: Agreed(confirmed=1, still_on_the_list=1),
    }
    assert agreed_to("terms") == {
        old_terms.terms_id: Agreed(confirmed=2, still_on_the_list=1),
        new_terms: Agreed(confirmed=1, still_on_the_list=1),
    }
    kept = ConsentEvent.objects.filter(pk__in=[one["id"] for one in before])
    assert list(kept.order_by("pk").values()) == before


def publish_new(article: Article, content: dict[str, str]) -> int:
    revision, _ = revise(article, content, by=None)
    publish(revision)
    return revision.pk


def test_who_comes_back_is_on_the_list_by_the_new_words(
    policies: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    confirm(link())
    unsubscribe(token("unsubscribe", Recipient.objects.get().key))
    old = Wording.objects.get()
    monkeypatch.setattr(wording, "BUTTON", "Join")
    monkeypatch.setattr(
        "newsletter.subscribing.ONE_CONFIRMATION_PER", timedelta(seconds=0)
    )

    subscribe()
    confirm(link())

    new = Wording.objects.exclude(pk=old.pk).get()
    assert agreed_to("wording") == {old.pk: Agreed(1, 0), new.pk: Agreed(1, 1)}


def test_the_list_of_wordings_marks_what_is_shown_now(
    policies: None,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.STATIC_ROOT = tmp_path
    subscribe()
    confirm(link())
    monkeypatch.setattr(wording, "BUTTON", "Join")
    new = wording.current()
    operator = browser(person("oscar", "operator"))

    answer = operator.get("/admin/newsletter/wording/")

    (first, second) = answer.context["cl"].result_list
    admin = answer.context["cl"].model_admin
    assert (first, admin.newest(first), admin.newest(second)) == (new, True, False)
    assert [admin.confirmed(one) for one in (first, second)] == ["0", "1"]
    assert "terms, revision 1" in answer.content.decode()


# --- The ledger's list ---------------------------------------------------------------


def test_an_event_says_where_it_stands_and_whether_it_verifies(
    policies: None, settings: Settings, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    subscribe()
    operator = browser(person("oscar", "operator"))
    event = ConsentEvent.objects.earliest("pk")
    path = f"/admin/newsletter/consentevent/{event.pk}/change/"

    page = operator.get(path).content.decode()

    assert "waits for its seal" in page
    assert "Yes, words and Terms too." in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("?month={:%Y-%m}", 3),
        ("?month=2001-01", 3),
        ("?month=%27", 3),
        ("?act__exact=confirmed", 1),
        ("?matter__exact=terms", 1),
    ],
)
def test_events_are_filtered_by_act_matter_and_month(
    policies: None, settings: Settings, tmp_path: Path, query: str, found: int
) -> None:
    settings.STATIC_ROOT = tmp_path
    subscribe()
    confirm(link())
    path = f"/admin/newsletter/consentevent/{query.format(timezone.now())}"

    answer = browser(person("oscar", "operator")).get(path)

    assert answer.context["cl"].result_count == found


def test_another_month_has_other_events(
    policies: None, settings: Settings, tmp_path: Path
) -> None:
    settings.STATIC_ROOT = tmp_path
    month = starts_of("month")[-3]
    said("confirmed", datetime(month.year, month.month, 15, tzinfo=UTC))
    said("withdrawn", timezone.now())
    path = f"/admin/newsletter/consentevent/?month={month:%Y-%m}"

    answer = browser(person("oscar", "operator")).get(path)

    assert [one.act for one in answer.context["cl"].result_list] == ["confirmed"]
