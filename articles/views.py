from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import http_date
from django.views.decorators.http import require_safe

from articles import addresses, catalogue, presenting, record
from articles import markdown as as_markdown
from articles.models import Article, Picture, Revision, Section
from ledger import Redaction, is_redacted
from review import ReviewLine

A_YEAR = 365 * 24 * 60 * 60
REDACTED = "This text was removed for a lawful reason: {}"


@require_safe
def section(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Section, slug=slug)
    shown = {
        "title": found.title,
        "intro": found.introduction,
        "slug": found.slug,
        "url": request.path,
    }
    context = {"section": shown, "articles": catalogue.published_cards(slug)}
    return render(request, "articles/section.html", context)


@require_safe
def article(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, Article.objects.medical(), slug)


@require_safe
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, Article.objects.filter(kind=Article.Kind.POLICY), slug)


def _page(request: HttpRequest, among: QuerySet[Article], slug: str) -> HttpResponse:
    """The live text; where it went, or why it is gone; else 404."""
    found = _find(request, among, slug)
    if isinstance(found, HttpResponse):
        return found
    live = found.live_revision
    if live is None or is_redacted(live):
        return _gone(request, found, live)
    page = presenting.page(found, live)
    response = render(request, "articles/article.html", {"page": page})
    return _while_it_stands(response, page["standing"])


def _while_it_stands(response: HttpResponse, line: ReviewLine | None) -> HttpResponse:
    """Says when the review line will read otherwise (RFC 9111 section 5.3)."""
    if line and line.until:
        response["Expires"] = http_date(line.until.timestamp())
    return response


@require_safe
def markdown(request: HttpRequest, slug: str) -> HttpResponse:
    """The same text for programs that read Markdown."""
    found = _find(request, Article.objects.medical(), slug)
    if isinstance(found, HttpResponse):
        return found
    live = found.live_revision
    if live is None or is_redacted(live):
        return _gone(request, found, live)
    page = presenting.page(found, live)
    page["body"] = as_markdown.body(live.content["body"])
    response = render(
        request,
        "articles/article.md",
        {"page": page},
        content_type="text/markdown; charset=utf-8",
    )
    return _while_it_stands(response, page["standing"])


def _find(
    request: HttpRequest, among: QuerySet[Article], slug: str
) -> Article | HttpResponse:
    """A published or withdrawn article, or where it moved to. Raises Http404."""
    found = (
        among.select_related(
            "section", "live_revision__article", "replaced_by__live_revision"
        )
        .filter(slug=slug)
        .first()
    )
    if found is None:
        return _moved(request, among, slug)
    if found.replaced_by and found.replaced_by.is_published():
        # Not for ever: a withdrawn article may come back.
        return HttpResponseRedirect(found.replaced_by.get_absolute_url())
    if not (found.is_published() or found.withdrawn_at or _is_blanked(found)):
        raise Http404
    return found


def _moved(
    request: HttpRequest, among: QuerySet[Article], slug: str
) -> HttpResponsePermanentRedirect:
    """The same page of the same article, at the address that it has now.

    Raises Http404, also for one that never was on the site: an address can say a lot.
    """
    moved = addresses.moved_to(slug)
    if moved is None or not among.filter(pk=moved.pk).exists():
        raise Http404
    place = request.resolver_match
    if place is None or moved.first_published_at is None:
        raise Http404
    same = reverse(place.view_name, kwargs={**place.kwargs, "slug": moved.slug})
    return HttpResponsePermanentRedirect(same)


def _is_blanked(found: Article) -> bool:
    return found.live_revision is not None and is_redacted(found.live_revision)


def _gone(request: HttpRequest, found: Article, live: Revision | None) -> HttpResponse:
    reason = found.withdrawn_reason
    if live is not None:
        redaction = Redaction.objects.filter(digest=live.digest).first()
        reason = REDACTED.format(redaction.reason if redaction else "")
    return render(request, "410.html", {"reason": reason}, status=410)


@require_safe
def review_record(request: HttpRequest, slug: str) -> HttpResponse:
    """Who signed what, when, and the digest that anybody can compute."""
    found = _on_record(request, slug)
    if isinstance(found, HttpResponse):
        return found
    live = found.live_revision
    context = {
        "page": _named(found),
        "verdicts": record.verdicts(found),
        "live": live,
        # Of the text as it stands, whatever the row says of itself.
        "digest": live.text_digest() if live else "",
        "withdrawn_reason": found.withdrawn_reason,
    }
    return render(request, "articles/review_record.html", context)


@require_safe
def signed_text(request: HttpRequest, slug: str, digest: str) -> HttpResponse:
    """The canonical bytes that were signed: their SHA-256 is in the address."""
    found = _on_record(request, slug)
    if isinstance(found, HttpResponse):
        return found
    text = record.signed_text(found, digest)
    if text is None:
        raise Http404
    return HttpResponse(text, content_type="application/json")


@require_safe
def signed_changes(request: HttpRequest, slug: str, digest: str) -> HttpResponse:
    found = _on_record(request, slug)
    if isinstance(found, HttpResponse):
        return found
    pair = record.changes(found, digest)
    if pair is None:
        raise Http404
    before, now, difference = pair
    context = {
        "page": _named(found),
        "before": before,
        "now": now,
        "difference": difference,
        "record_url": presenting.record_url(found),
    }
    return render(request, "articles/signed_changes.html", context)


def _on_record(request: HttpRequest, slug: str) -> Article | HttpResponse:
    """An article that is on the site or once was, or where it moved. Raises Http404."""
    among = Article.objects.medical().select_related("section", "live_revision")
    found = among.filter(slug=slug).first()
    if found is None:
        return _moved(request, among, slug)
    if not record.published_digests(found):
        raise Http404
    return found


def _named(found: Article) -> dict[str, object]:
    return {
        "title": record.public_title(found),
        "url": found.get_absolute_url(),
        "section": presenting.section_link(found),
    }


@require_safe
def picture(request: HttpRequest, digest: str, ending: str) -> HttpResponse:
    """Immutable bytes under their own digest; an SVG may draw and nothing else."""
    found = Picture.objects.filter(digest=digest).first()
    if found is None:
        raise Http404
    if found.text_digest() != digest:
        # Blanked for a lawful reason, or altered: nobody signed these bytes.
        return HttpResponse("Gone\n", content_type="text/plain", status=410)
    if ending != Picture.ENDINGS[found.media_type]:
        return redirect(found)
    response = HttpResponse(bytes(found.content), content_type=found.media_type)
    response["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    return response
