from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Layout, Submit
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from mail import NotAnAddress, canonical_address
from newsletter import wording


class AddressForm(forms.Form):
    """One address, as `canonical_address` accepts it; what was typed stays in it."""

    email = forms.CharField(
        label="Your email address",
        max_length=320,
        # What may stand around an address `canonical_address` says.
        strip=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
        error_messages={
            "required": "Enter your email address.",
            "max_length": "This address is longer than any mail server accepts.",
        },
    )

    def clean_email(self) -> str:
        typed = str(self.cleaned_data["email"])
        if isinstance(self.data, QueryDict) and len(self.data.getlist("email")) > 1:
            raise ValidationError("Enter one email address at a time.")
        try:
            canonical_address(typed)
        except NotAnAddress as error:
            raise ValidationError(str(error)) from error
        return typed


class SubscribeForm(AddressForm):
    """The box.

    A second field is for programs that fill in whatever they find: people, screen
    readers and the keyboard don't meet it.
    """

    subject = forms.CharField(
        label="Leave this empty",
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "tabindex": "-1"}),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.helper = FormHelper()
        self.helper.form_action = "/newsletter/"
        self.helper.disable_csrf = True
        self.helper.attrs = {"novalidate": ""}
        self.helper.layout = Layout(
            "email", Field("subject", template="newsletter/includes/trap.html")
        )
        self.helper.add_input(Submit("", wording.BUTTON))

    def was_filled_by_a_program(self) -> bool:
        return bool(self.cleaned_data["subject"])
