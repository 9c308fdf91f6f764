"""The editors' desk over HTTP: what goes wrong says so and loses nothing."""

import io
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from PIL import Image
from pytest_django import Settings

from articles.editing import revise, start_draft
from articles.models import Article, Picture, Revision
from articles.pictures import keep_drawing
from articles.publishing import publish
from articles.submitting import submit
from review import Clinician, ReviewRequest
from review.requesting import call_back
from tests.articles.test_publishing import TEXT, approve, make_article
from tests.people import carla, edith, person

HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def desk(db: None, settings: Settings, tmp_path: Path) -> Client:
    """Edith's browser."""
    settings.STATIC_ROOT = tmp_path
    return browser(edith())


def browser(user: User) -> Client:
    client = Client(headers=HTTPS)
    client.force_login(user)
    return client


def filled(button: str, **changes: Any) -> dict[str, Any]:
    """The writing page as a browser sends it."""
    return {
        "title": "Muscle twitching",
        "summary": "Mostly harmless.",
        "key_points": "One.\r\nTwo.",
        "body": "<h2>Overview</h2>\r\n<p>Take 5 mg.</p>",
        "care-TOTAL_FORMS": "1",
        "care-INITIAL_FORMS": "0",
        "care-0-level": "emergency",
        "care-0-heading": "Call 999 now if",
        "care-0-items": "it spreads\r\nit stays",
        "care-0-cites": "",
        "references-TOTAL_FORMS": "0",
        "references-INITIAL_FORMS": "0",
        button: "1",
        **changes,
    }


def writing(article: Article, user: User) -> str:
    draft = start_draft(article, by=user)
    return reverse("admin:articles_draft_change", args=[draft.pk])


def test_an_articles_kind_is_not_changed_by_a_forged_form(desk: Client) -> None:
    article = make_article()
    url = reverse("admin:articles_article_change", args=[article.pk])

    answer = desk.post(url, {"kind": "news", "aliases": "x"}, follow=True)

    assert "keeps the kind" in answer.content.decode()
    article.refresh_from_db()
    assert (article.kind, article.aliases) == ("symptom", [])


def test_a_new_article_takes_no_address_that_led_elsewhere(desk: Client) -> None:
    article = make_article()
    move = reverse("admin:articles_article_verb", args=[article.pk, "move"])
    desk.post(move, {"slug": "twitches"})

    sent = {"slug": "muscle-twitching", "kind": "symptom", "section": "1"}
    answer = desk.post(reverse("admin:articles_article_add"), sent)

    assert "belonged to another article" in answer.content.decode()
    assert Article.objects.count() == 1


def png(width: int = 64, height: int = 48) -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(kept, "PNG")
    return kept.getvalue()


def bomb() -> bytes:
    """A PNG whose header says 50,000 x 50,000."""
    small = bytearray(png())
    small[16:24] = (50_000).to_bytes(4, "big") * 2
    return bytes(small)


@pytest.mark.parametrize(
    ("upload", "word"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "SVG"),
        (bomb(), ""),
        (png()[:60], ""),
        (b"%PDF-1.7", ""),
        (b"x" * (10 * 1024 * 1024 + 1), "10 MB"),
    ],
)
def test_an_unfit_picture_is_refused_in_a_sentence(
    desk: Client, upload: bytes, word: str
) -> None:
    file = io.BytesIO(upload)
    file.name = "holiday.png"

    answer = desk.post(reverse("admin:articles_picture_add"), {"picture": file})

    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'class="errorlist"' in page
    assert word in page
    assert not Picture.objects.exists()


def test_a_picture_is_taken_in_once_and_shown_in_every_size(desk: Client) -> None:
    for _ in range(2):
        file = io.BytesIO(png(1200, 800))
        file.name = "holiday.png"
        desk.post(reverse("admin:articles_picture_add"), {"picture": file})
    main = Picture.objects.get(rendition_of=None)
    body = (
        f'<p>x</p><figure><img src="{main.get_absolute_url()}" alt="A wall"></figure>'
    )

    revision, _ = revise(make_article(), {**TEXT, "body": body}, by=edith())

    assert main.renditions.count() >= 4
    assert "image/avif" in revision.content["body"]
    for one in Picture.objects.all():
        assert one.digest in revision.content["body"]
        answer = desk.get(one.get_absolute_url())
        assert (answer.status_code, answer["Content-Type"]) == (200, one.media_type)


def test_w11_a_picture_runs_nothing(desk: Client) -> None:
    """A drawing may style itself; neither it nor a photograph loads or runs more."""
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    named = sha256(drawing).hexdigest()
    keep_drawing(named, drawing, 1, 1)

    answer = desk.get(f"/pictures/{named}.svg")

    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )


def test_the_whole_way_from_draft_to_page(desk: Client) -> None:
    """Write, submit, sign, publish: each by its own person, each by its own page."""
    article = make_article()
    desk.post(writing(article, edith()), filled("_save"))
    revision = Revision.objects.get()
    doctor = carla()
    desk.post(
        reverse("admin:articles_revision_verb", args=[revision.pk, "submit"]),
        {"assignee": doctor.pk, "due_on": "", "note": "The dose, please."},
    )
    waiting = doctor.requests.get()
    carlas = browser(doctor.user)
    desk_page = reverse("admin:review_reviewrequest_verb", args=[waiting.pk, "answer"])
    assert "The dose, please." in carlas.get(desk_page).content.decode()
    carlas.post(
        desk_page,
        {
            "verdict": "approved",
            "comment": "",
            "conflicts_of_interest": "none",
            "months": "12",
            "digest": waiting.digest,
        },
    )

    desk.post(reverse("admin:articles_revision_verb", args=[revision.pk, "publish"]))

    page = Client(headers=HTTPS).get(article.get_absolute_url()).content.decode()
    assert "Medically reviewed by <strong>Carla Example" in page
    assert '"reviewedBy"' in page


def test_a_verdict_on_a_text_that_was_not_shown_is_refused(desk: Client) -> None:
    doctor = carla()
    revision, _ = revise(make_article(), TEXT, by=None)
    submit = reverse("admin:articles_revision_verb", args=[revision.pk, "submit"])
    desk.post(submit, {"assignee": doctor.pk})
    waiting = doctor.requests.get()
    url = reverse("admin:review_reviewrequest_verb", args=[waiting.pk, "answer"])

    answer = browser(doctor.user).post(
        url,
        {
            "verdict": "approved",
            "conflicts_of_interest": "none",
            "months": "12",
            "digest": "0" * 64,
        },
    )

    assert "not the text that was shown" in answer.content.decode()
    assert not doctor.sign_offs.exists()


def test_who_signs_hears_of_a_newer_draft(desk: Client) -> None:
    doctor = carla()
    (waiting,) = waiting_for(doctor, "one")
    revise(Article.objects.get(), {**TEXT, "summary": "Newer."}, by=None)
    url = reverse("admin:review_reviewrequest_verb", args=[waiting.pk, "answer"])
    said = {"verdict": "approved", "conflicts_of_interest": "none", "months": "12"}

    told = browser(doctor.user).post(
        url, {**said, "digest": waiting.digest}, follow=True
    )

    assert "A newer draft exists; it is not covered." in told.content.decode()


def test_many_small_changes_are_signed_on_one_screen(desk: Client) -> None:
    doctor = carla()
    for slug in ("one", "two", "three"):
        revision, _ = revise(make_article(slug), {**TEXT, "title": slug}, by=None)
        submit = reverse("admin:articles_revision_verb", args=[revision.pk, "submit"])
        desk.post(submit, {"assignee": doctor.pk})
    one, two, three = doctor.requests.order_by("pk")
    url = reverse("admin:review_reviewrequest_together")
    chosen = f"{url}?id={one.pk}&id={two.pk}&id={three.pk}"
    carlas = browser(doctor.user)
    page = carlas.get(chosen).content.decode()
    assert page.count('class="diff"') == 3

    said = {"verdict": "approved", "conflicts_of_interest": "none", "months": "12"}
    ticked = [f"{one.pk}-{one.digest}", f"{three.pk}-{three.digest}"]
    carlas.post(chosen, {**said, "sign": ticked})

    states = doctor.requests.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["answered", "open", "answered"]
    assert doctor.sign_offs.count() == 2


def waiting_for(doctor: Clinician, *slugs: str) -> list[ReviewRequest]:
    """A text of each slug waits for the doctor's verdict."""
    for slug in slugs:
        revision, _ = revise(make_article(slug), {**TEXT, "title": slug}, by=None)
        submit(revision, by=edith(), assignee=doctor)
    return list(doctor.requests.order_by("pk"))


def sign_together(doctor: Clinician, waiting: list[ReviewRequest], **said: Any) -> Any:
    """Tick all of them and press."""
    ids = "&".join(f"id={one.pk}" for one in waiting)
    return browser(doctor.user).post(
        f"{reverse('admin:review_reviewrequest_together')}?{ids}",
        {
            "verdict": "approved",
            "conflicts_of_interest": "none",
            "months": "12",
            "sign": [f"{one.pk}-{one.digest}" for one in waiting],
            **said,
        },
    )


def test_changes_asked_for_together_need_a_word_on_which(desk: Client) -> None:
    doctor = carla()
    waiting = waiting_for(doctor, "one", "two")
    said = {"verdict": "changes requested", "conflicts_of_interest": "A share."}

    page = sign_together(doctor, waiting, **said).content.decode()

    assert "Say what should change" in page
    assert "A share.</textarea>" in page
    assert page.count(" checked> I have read") == 2
    assert not doctor.sign_offs.exists()


def test_what_is_refused_together_loses_nothing_that_was_typed(desk: Client) -> None:
    doctor = carla()
    first, second = waiting_for(doctor, "one", "two")
    # The text on the screen is another one.
    shown = [f"{first.pk}-{first.digest}", f"{second.pk}-{'0' * 64}"]

    answer = sign_together(doctor, [first, second], comment="Looked.", sign=shown)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "One: approved." in page
    assert "not shown:" not in page
    assert "Two: This is not the text that was shown to you." in page
    assert "Looked.</textarea>" in page
    assert doctor.sign_offs.get().subject == first.subject


def test_what_colleagues_answered_meanwhile_leaves_the_comment(desk: Client) -> None:
    doctor = carla()
    waiting = waiting_for(doctor, "one")
    call_back(waiting[0])

    page = sign_together(doctor, waiting, comment="Looked.").content.decode()

    assert "One text is answered, or a colleague has it." in page
    assert "Looked.</textarea>" in page


def test_a_clinician_who_signed_stays_on_record(desk: Client) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    approve(revision)
    doctor = carla()
    url = reverse("admin:review_clinician_delete", args=[doctor.pk])

    answer = browser(person("oscar", "operator")).post(
        url, {"post": "yes"}, follow=True
    )

    assert "has signed texts and stays on record" in answer.content.decode()
    doctor.refresh_from_db()


def test_a_withdrawn_page_says_why_or_leads_on(desk: Client) -> None:
    article, other = make_article(), make_article("lip-twitching")
    for one in (article, other):
        revision, _ = revise(one, {**TEXT, "title": one.slug}, by=None)
        approve(revision)
        publish(revision)
    url = reverse("admin:articles_article_verb", args=[article.pk, "withdraw"])
    reader = Client(headers=HTTPS)

    desk.post(url, {"reason": "The advice changed.", "replaced_by": ""})
    gone = reader.get("/articles/muscle-twitching/")
    assert gone.status_code == 410
    assert "The advice changed." in gone.content.decode()
    assert reader.get("/articles/muscle-twitching/review/").status_code == 200

    publish(Revision.objects.get(article=article))
    desk.post(url, {"reason": "Moved.", "replaced_by": other.pk})
    assert reader.get("/articles/muscle-twitching/")["Location"] == (
        "/articles/lip-twitching/"
    )


def test_an_old_address_leads_to_the_new_one(desk: Client) -> None:
    article = make_article()
    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    publish(revision)
    move = reverse("admin:articles_article_verb", args=[article.pk, "move"])

    desk.post(move, {"slug": "twitches"})

    reader = Client(headers=HTTPS)
    digest = revision.digest
    for page in (
        "/",
        ".md",
        "/review/",
        f"/review/{digest}.json",
        f"/review/{digest}/",
    ):
        answer = reader.get(f"/articles/muscle-twitching{page}")
        assert answer.status_code == 301
        assert answer["Location"] == f"/articles/twitches{page}"


def test_an_article_that_never_was_on_the_site_tells_nobody_where_it_moved(
    desk: Client,
) -> None:
    article = make_article()
    move = reverse("admin:articles_article_verb", args=[article.pk, "move"])
    desk.post(move, {"slug": "a-drug-that-failed"})

    reader = Client(headers=HTTPS)
    for page in ("/", ".md", "/review/"):
        answer = reader.get(f"/articles/muscle-twitching{page}")
        assert answer.status_code == 404


def test_the_desk_of_an_article_says_first_where_it_stands(desk: Client) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    approve(revision)
    publish(revision)
    url = reverse("admin:articles_article_change", args=[revision.article_id])

    page = desk.get(url).content.decode()

    assert "<h1>Muscle twitching</h1>" in page
    assert "On the site: revision 1. Its review: current: Carla Example" in page
    assert page.index("<h2>Texts</h2>") < page.index('id="id_aliases"')


def test_nobody_is_sent_to_a_page_that_is_not_there(desk: Client) -> None:
    article = make_article()
    url = reverse("admin:articles_article_change", args=[article.pk])
    assert "View on site" not in desk.get(url).content.decode()

    revision, _ = revise(article, TEXT, by=None)
    approve(revision)
    publish(revision)
    assert "View on site" in desk.get(url).content.decode()


@pytest.mark.parametrize("verb", ["submit", "publish", "schedule"])
def test_a_verbs_page_names_the_text(desk: Client, verb: str) -> None:
    revision, _ = revise(make_article(), TEXT, by=None)
    url = reverse("admin:articles_revision_verb", args=[revision.pk, verb])

    page = desk.get(url).content.decode()

    assert re.search(r"<h1>[\w ]+: Muscle twitching, revision 1</h1>", page)


def test_the_clinician_sees_the_text_as_a_page(desk: Client) -> None:
    doctor = carla()
    revision, _ = revise(make_article(), TEXT, by=None)
    submit = reverse("admin:articles_revision_verb", args=[revision.pk, "submit"])
    desk.post(submit, {"assignee": doctor.pk})
    waiting = doctor.requests.get()
    url = reverse("admin:review_reviewrequest_verb", args=[waiting.pk, "answer"])
    carlas = browser(doctor.user)

    page = carlas.get(url).content.decode()

    link = re.search(r'<a href="([^"]+)">See it as a page, with its pictures', page)
    assert link is not None
    assert "<strong>Preview.</strong>" in carlas.get(link[1]).content.decode()
