from crispy_forms.helper import FormHelper
from crispy_forms.layout import Submit
from django import forms
from django.core.exceptions import ValidationError

from mail import NotAnAddress, canonical_address
from newsletter import wording


class SubscribeForm(forms.Form):
    """One field; what a person typed stays in it when it is wrong."""

    email = forms.CharField(
        label="Your email address",
        max_length=320,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"}),
        error_messages={
            "required": "Enter your email address.",
            "max_length": "This address is longer than any mail server accepts.",
        },
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.helper = FormHelper()
        self.helper.form_action = "/newsletter/"
        self.helper.disable_csrf = True
        self.helper.attrs = {"novalidate": ""}
        self.helper.add_input(Submit("", wording.BUTTON))

    def clean_email(self) -> str:
        typed = str(self.cleaned_data["email"])
        try:
            canonical_address(typed)
        except NotAnAddress as error:
            raise ValidationError(str(error)) from error
        return typed
