from django.contrib import admin
from django.http import HttpRequest

from ledger.models import Entry, Seal


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Evidence can be looked at. Nobody adds, changes or deletes it by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Entry)
class EntryAdmin(ReadOnly):
    list_display = ["id", "kind", "recorded_at", "commitment"]
    list_filter = ["kind"]


@admin.register(Seal)
class SealAdmin(ReadOnly):
    list_display = ["position", "sealed_at", "chain"]
