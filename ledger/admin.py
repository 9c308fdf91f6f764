from django.contrib import admin

from ledger.models import Entry, Seal
from ledger.readonly import ReadOnlyAdmin


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ["id", "kind", "recorded_at", "commitment"]
    list_filter = ["kind"]


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    list_display = ["position", "sealed_at", "chain"]
