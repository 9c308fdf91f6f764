from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from articles import catalogue, presenting
from articles.models import Article, Picture, Section

A_YEAR = 365 * 24 * 60 * 60


@require_safe
def section(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Section, slug=slug)
    shown = {"title": found.title, "intro": found.introduction}
    context = {"section": shown, "articles": catalogue.published_cards(slug)}
    return render(request, "articles/section.html", context)


@require_safe
def article(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, Article.objects.medical(), slug)


@require_safe
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    return _page(request, Article.objects.filter(kind=Article.Kind.POLICY), slug)


def _page(request: HttpRequest, among: QuerySet[Article], slug: str) -> HttpResponse:
    """The live text; 410 with its reason for a withdrawn one; else 404."""
    found = get_object_or_404(
        among.select_related("section", "live_revision__article"), slug=slug
    )
    if found.withdrawn_at:
        reason = {"reason": found.withdrawn_reason}
        return render(request, "410.html", reason, status=410)
    if found.live_revision is None or not found.is_published():
        raise Http404
    context = {"page": presenting.page(found, found.live_revision)}
    return render(request, "articles/article.html", context)


@require_safe
def review_record(request: HttpRequest, slug: str) -> HttpResponse:
    """Who signed what, when, and the digest that anybody can compute."""
    found = get_object_or_404(
        Article.objects.published().medical().select_related("live_revision"), slug=slug
    )
    live = found.live_revision
    assert live is not None, "published() asks for it"  # noqa: S101
    context = {
        "page": {"title": live.content["title"], "url": found.get_absolute_url()},
        "verdicts": presenting.verdicts(found),
        "digest": live.digest,
    }
    return render(request, "articles/review_record.html", context)


@require_safe
def picture(request: HttpRequest, digest: str, ending: str) -> HttpResponse:
    """Immutable bytes under their own digest; an SVG may draw and nothing else."""
    found = get_object_or_404(Picture, digest=digest)
    response = HttpResponse(bytes(found.content), content_type=found.media_type)
    response["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    return response
