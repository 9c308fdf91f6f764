from datetime import timedelta
from typing import Any

from django import forms

from review.models import Clinician, SignOff

WIDE = {"class": "vLargeTextField", "rows": 4}
YEAR = timedelta(days=365)
VALIDITIES = {
    "12": ("12 months: it treats, or names doses", YEAR),
    "24": ("24 months: it describes symptoms", 2 * YEAR),
    "36": ("36 months: nothing in it is likely to change", 3 * YEAR),
}


class VerdictForm(forms.Form):
    verdict = forms.ChoiceField(
        choices=[
            (SignOff.Verdict.APPROVED, "I approve exactly this text"),
            (SignOff.Verdict.CHANGES_REQUESTED, "I ask for changes"),
        ],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one of the two."},
    )
    comment = forms.CharField(
        required=False,
        widget=forms.Textarea(WIDE),
        help_text="What should change, or what you looked at. Once the text has been "
        "published, readers find it in the review record.",
    )
    conflicts_of_interest = forms.CharField(
        label="Conflicts of interest",
        widget=forms.Textarea({**WIDE, "rows": 2}),
        help_text="Whoever pays you, owns shares, or stands near the subject. Write "
        "“none” if there are none. Readers can see it.",
        error_messages={"required": "Say which you have, or “none”."},
    )
    months = forms.ChoiceField(
        label="Holds for",
        choices=[(months, label) for months, (label, _) in VALIDITIES.items()],
        initial="12",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        asks = data.get("verdict") == SignOff.Verdict.CHANGES_REQUESTED
        if asks and not data.get("comment"):
            self.add_error("comment", "Say what should change, so that it can be.")
        return data


class ShownVerdictForm(VerdictForm):
    """For one text: the digest of what was shown comes back with the verdict."""

    digest = forms.CharField(widget=forms.HiddenInput)


class DeclineForm(forms.Form):
    reason = forms.CharField(widget=forms.Textarea(WIDE))


class ClinicianForm(forms.Form):
    clinician = forms.ModelChoiceField(
        Clinician.objects.none(), help_text="They get a mail."
    )

    def __init__(self, *args: Any, authors: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fit = Clinician.objects.able_to_sign().exclude(user__in=authors)
        self.fields["clinician"].queryset = fit  # type: ignore[attr-defined]


class RetractForm(forms.Form):
    comment = forms.CharField(
        label="Why",
        widget=forms.Textarea(WIDE),
        help_text="Readers find it in the review record.",
    )


def verdict_given(data: dict[str, Any]) -> dict[str, Any]:
    """A VerdictForm's cleaned data as `signing.answer` takes it."""
    return {
        "verdict": SignOff.Verdict(data["verdict"]),
        "comment": data["comment"],
        "conflicts_of_interest": data["conflicts_of_interest"],
        "valid_for": VALIDITIES[data["months"]][1],
    }
