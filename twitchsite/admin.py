"""People: the operator gives roles; what goes beyond them is a superuser's."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

# The groups that the site's own migrations made (docs/roles.md).
ROLES = (
    *("author", "editor", "clinician", "moderator"),
    *("newsletter manager", "operator"),
)
PLAIN_FIELDSETS = (
    (None, {"fields": ("username", "password")}),
    ("Person", {"fields": ("first_name", "last_name", "email")}),
    ("Roles", {"fields": ("is_active", "is_staff", "groups")}),
    ("Dates", {"fields": ("last_login", "date_joined")}),
)


def goes_beyond_roles(user: User) -> bool:
    """Whether the account can do what no role can, by itself or through a group."""
    return (
        user.is_superuser
        or user.user_permissions.exists()
        or user.groups.exclude(name__in=ROLES).exists()
    )


class PeopleAdmin(UserAdmin):  # type: ignore[type-arg]
    """Django's own, except that nobody gets above themselves through it."""

    readonly_fields = ("last_login", "date_joined")

    def has_change_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        """Its password too: it is the way into the account."""
        if obj and not request.user.is_superuser and goes_beyond_roles(obj):
            return False
        return super().has_change_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None or request.user.is_superuser:
            return super().get_fieldsets(request, obj)
        return PLAIN_FIELDSETS

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "groups" and not request.user.is_superuser:
            kwargs["queryset"] = Group.objects.filter(name__in=ROLES)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


# Importing Django's admin above registered its own.
admin.site.unregister(User)
admin.site.register(User, PeopleAdmin)
