from django.contrib import admin
from django.http import HttpRequest

from mail.models import Batch, Delivery


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """The engine writes these rows; people read them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Batch)
class BatchAdmin(ReadOnly):
    list_display = ["name", "state", "eligible", "created_at", "finished_at"]
    list_filter = ["state"]
    exclude = ["message"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ["id", "kind", "state", "due_at", "attempts", "reason"]
    list_filter = ["state", "kind"]
    exclude = ["message"]
    raw_id_fields = ["recipient", "batch"]
