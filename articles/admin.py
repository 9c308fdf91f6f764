from django.contrib import admin
from django.http import HttpRequest

from articles.models import Article, Revision, Section
from ledger import ReadOnlyAdmin


@admin.register(Section)
class SectionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["title", "slug", "position"]


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["slug", "kind", "section", "published_at", "withdrawn_at"]
    list_filter = ["kind", "section"]
    list_select_related = ["section"]
    search_fields = ["slug"]
    fields = ["slug", "section", "kind", "aliases", "codes", "read_next"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Article | None = None
    ) -> list[str]:
        """An article's kind and address are fixed at creation."""
        return ["slug", "kind"] if obj else []


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ["article", "number", "note", "created_at", "digest"]
    list_select_related = ["article"]
    list_filter = ["article"]
