"""The admin as a workbench: what can happen to a thing is a verb with a page.

GET shows what will happen and asks for what is needed, POST does it. Whether somebody
may is asked in one place, by the list of buttons and by the page itself.
"""

import re
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    QueryDict,
)
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from review.standing_of import State

# Within PostgreSQL's bigint.
_PK = re.compile(r"[0-9]{1,18}")


class Verb:
    """One thing that can happen to an object of the admin.

    `refusals` are the exceptions of the verb that stand above the form as sentences;
    what was typed stays in it.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    explanation: ClassVar[str] = ""
    button: ClassVar[str] = ""
    # What the way out is called; another word where the verb itself cancels.
    way_out: ClassVar[str] = "Cancel"
    is_grave: ClassVar[bool] = False
    template: ClassVar[str] = "admin/desk/verb.html"
    form: ClassVar[type[forms.Form]] = forms.Form
    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    def allowed(self, user: User, obj: Any) -> bool:
        """Whether `user` may do this to `obj` as it is now."""
        raise NotImplementedError

    def named(self, obj: Any) -> str:
        """What the person calls the thing that this happens to."""
        return str(obj)

    def possible(self, obj: Any) -> bool:
        """Whether a button makes sense; the verb itself decides for good."""
        return True

    def form_for(self, request: HttpRequest, obj: Any) -> forms.Form:
        return self.form(posted(request))

    def context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {}

    def do(self, request: HttpRequest, obj: Any, data: dict[str, Any]) -> str:
        """Call the verb; the sentence that tells the person it is done."""
        raise NotImplementedError

    def next_url(self, obj: Any) -> str:
        """Where the person goes from there."""
        return admin_url(obj)

    def respond(
        self, request: HttpRequest, obj: Any, desk: "DeskAdmin"
    ) -> HttpResponse:
        form = self.form_for(request, obj)
        if request.method == "POST" and form.is_valid():
            try:
                told = self.do(request, obj, form.cleaned_data)
            except self.refusals as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(request, told)
                return HttpResponseRedirect(self.next_url(obj))
        context = {
            **desk.admin_site.each_context(request),
            "title": f"{self.label}: {self.named(obj)}",
            "verb": self,
            "object": obj,
            "opts": desk.opts,
            "form": form,
            "back_url": admin_url(obj),
            **self.context(request, obj),
        }
        return TemplateResponse(request, self.template, context)


def posted(request: HttpRequest) -> QueryDict | None:
    """What binds a form: an empty POST too is an answer."""
    return request.POST if request.method == "POST" else None


def read_pk(text: str) -> int | None:
    """The id that `text` names, or None: what a browser sends can be any length."""
    return int(text) if _PK.fullmatch(text) else None


def admin_url(obj: Any) -> str:
    meta = obj._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])


class ChangesOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Writes the fields that a person changed.

    The others may have changed meanwhile: an article whose section is set must not
    come back on the site after somebody withdrew it.
    """

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        if not change:
            obj.save()
            return
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.save(update_fields=columns.intersection(form.changed_data))


class DeskAdmin(ChangesOnly):
    """Shows an object's facts and a button for each of `verbs` that fits.

    Nothing is deleted here, in a list or one by one, unless an admin says so itself.
    """

    verbs: ClassVar[tuple[Verb, ...]] = ()
    change_form_template = "admin/desk/change_form.html"

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_verb"
        view = self.admin_site.admin_view(self.verb_view)
        return [
            path("<int:pk>/do/<slug:name>/", view, name=name),
            *super().get_urls(),
        ]

    def verb_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Raises Http404 for an unknown verb, PermissionDenied for one not theirs."""
        verb = next((one for one in self.verbs if one.name == name), None)
        if verb is None:
            raise Http404
        obj = get_object_or_404(self.get_queryset(request), pk=pk)
        # Who may not even look at it (any more) does nothing to it.
        may_look = self.has_view_permission(request, obj)
        if not may_look or not verb.allowed(request.user, obj):  # type: ignore[arg-type]
            raise PermissionDenied
        return verb.respond(request, obj, self)

    def verb_links(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_verb"
        return [
            {
                "label": verb.label,
                "url": reverse(name, args=[obj.pk, verb.name]),
                "is_grave": verb.is_grave,
            }
            for verb in self.verbs
            if verb.allowed(request.user, obj)  # type: ignore[arg-type]
            and verb.possible(obj)
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj and not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        extra = {
            "verb_links": self.verb_links(request, obj) if obj else [],
            **(self.facts(request, obj) if obj else {}),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, extra)

    def facts(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """More for the object's page: a difference, a history."""
        return {}


class StandingFilter(admin.SimpleListFilter):
    """For lists whose rows have `standing` (`review.state_of`)."""

    title = "review"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in State.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(standing=self.value()) if self.value() else queryset


class ReadOnlyDesk(DeskAdmin):
    """Its rows come into being and change by verbs alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
