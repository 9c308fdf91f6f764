from django.contrib import admin

from ledger import ReadOnlyAdmin
from review.models import Clinician, SignOff


@admin.register(Clinician)
class ClinicianAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "credentials", "credential_expires_at"]
    raw_id_fields = ["user"]
    readonly_fields = ["demonstration"]


@admin.register(SignOff)
class SignOffAdmin(ReadOnlyAdmin):
    list_display = ["subject", "verdict", "signer_name", "signed_at", "valid_until"]
    list_filter = ["verdict"]
    exclude = ["content", "entry"]
