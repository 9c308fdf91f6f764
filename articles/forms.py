"""What an editor fills in, and what it means as an article's content."""

import re
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

from django import forms
from django.core.validators import RegexValidator
from django.http import QueryDict
from django.utils import timezone

from articles.cleaning import tidy
from articles.content import CARE_LEVELS
from articles.editing import Written
from articles.models import Article, Draft, Section
from review import Clinician

IS_ADDRESS = RegexValidator(
    r"\A[a-z0-9]+(?:-[a-z0-9]+)*\Z",
    "Write small letters, digits and single hyphens, as in eyelid-twitch.",
)
CLAIMS = re.compile(
    r"\w*(?:review|medically(?! unexplained)|approv|endors|verified|checked|vetted"
    r"|certified|accredited|validated|fact.?check|signed.?off)\w*",
    re.IGNORECASE,
)
WIDE = {"class": "vLargeTextField"}
BODY_HELP = (
    "HTML with h2 and h3 headings, paragraphs, lists, tables and figures. A citation "
    'is <sup class="citation"><a href="#ref-1" id="cite-1-1">1</a></sup>; a picture '
    'is <figure><img src="(its address)" alt="(what it shows)">'
    "<figcaption>(its caption)</figcaption></figure>. You can paste from a word "
    "processor: its hidden markup is taken out."
)


def claims_no_review(text: str) -> None:
    """For what stands around a text: no signature covers it, so it says nothing of one.

    Raises ValidationError.
    """
    found = CLAIMS.search(normalize("NFKC", tidy(text)))
    if found:
        raise forms.ValidationError(
            f"Please leave out “{found[0]}”. That a text was reviewed or checked is "
            "said by a clinician’s signature alone."
        )


class WritingForm(forms.Form):
    title = forms.CharField(
        required=False, widget=forms.TextInput({"class": "vTextField"})
    )
    summary = forms.CharField(
        required=False,
        widget=forms.Textarea({**WIDE, "rows": 3}),
        help_text="One or two sentences that a worried reader needs first.",
    )
    key_points = forms.CharField(
        required=False,
        widget=forms.Textarea({**WIDE, "rows": 5}),
        help_text="One a line.",
    )
    body = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea({**WIDE, "rows": 28, "spellcheck": "true"}),
        help_text=BODY_HELP,
    )
    byline = forms.CharField(
        required=False,
        max_length=200,
        validators=[claims_no_review],
        widget=forms.TextInput({"class": "vTextField"}),
        help_text="Who wrote it, as readers see it.",
    )
    machine_assisted = forms.BooleanField(
        required=False,
        label="Drafted with machine assistance",
        help_text="Readers are told.",
    )
    note = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput({"class": "vTextField"}),
        help_text="For colleagues: what you changed, and why.",
    )
    # Where the text belongs, should its draft be gone when it arrives.
    article = forms.IntegerField(required=False, widget=forms.HiddenInput)
    # What the person looked at when they typed: the newest revision, the kept draft.
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)
    version = forms.CharField(required=False, widget=forms.HiddenInput)


class CareCardForm(forms.Form):
    level = forms.ChoiceField(
        required=False,
        choices=[("", "(no card)"), *((one, one.capitalize()) for one in CARE_LEVELS)],
        help_text="Emergency first, then urgent, then not urgent.",
    )
    heading = forms.CharField(
        required=False, widget=forms.TextInput({"class": "vTextField"})
    )
    items = forms.CharField(
        required=False,
        widget=forms.Textarea({**WIDE, "rows": 5}),
        help_text="One a line.",
    )
    closing = forms.CharField(
        required=False, widget=forms.TextInput({"class": "vTextField"})
    )
    cites = forms.RegexField(
        r"^[ ,]*(?:[1-9][0-9]{0,2}(?:[ ,]+|$)){0,20}$",
        required=False,
        help_text="Numbers of references, with commas.",
        error_messages={
            "invalid": "Write numbers with commas between them: 1, 3. A card cites at "
            "most 20 references."
        },
    )

    def content(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "level": data["level"],
            "heading": data["heading"],
            "items": lines(data["items"]),
            "closing": data["closing"],
            "cites": [int(one) for one in data["cites"].replace(",", " ").split()],
        }


class ReferenceForm(forms.Form):
    number = forms.IntegerField(required=False, min_value=1, max_value=999)
    publisher = forms.CharField(required=False)
    title = forms.CharField(
        required=False, widget=forms.TextInput({"class": "vTextField"})
    )
    url = forms.CharField(
        required=False, label="URL", widget=forms.TextInput({"class": "vTextField"})
    )
    year = forms.CharField(required=False, max_length=10)
    doi = forms.CharField(required=False, label="DOI")
    pmid = forms.CharField(required=False, label="PMID")

    def content(self) -> dict[str, Any]:
        return {**self.cleaned_data, "number": self.cleaned_data["number"] or 0}


CareCards = forms.formset_factory(CareCardForm, extra=1, max_num=10)
References = forms.formset_factory(ReferenceForm, extra=2, max_num=100)


class Writing:
    """The page on which a draft is written: one form and two lists of forms."""

    def __init__(self, draft: Draft, data: QueryDict | None = None) -> None:
        content = draft.content
        self.form = WritingForm(
            data,
            initial={
                **{name: content[name] for name in ("title", "summary", "body")},
                "key_points": "\n".join(content["key_points"]),
                "byline": draft.byline,
                "machine_assisted": draft.machine_assisted,
                "note": draft.note,
                "article": draft.article_id,
                "seen": draft.based_on_id,
                "version": draft.version,
            },
        )
        self.care_cards = CareCards(
            data,
            prefix="care",
            initial=[
                {
                    **card,
                    "items": "\n".join(card["items"]),
                    "cites": ", ".join(map(str, card["cites"])),
                }
                for card in content["care_cards"]
            ],
        )
        self.references = References(
            data, prefix="references", initial=content["references"]
        )

    def stamp(self, **shown: object) -> None:
        """The page that goes back shows this: another version, a newer revision."""
        # Every field of this form has one value.
        typed = {name: self.form.data.get(name, "") for name in self.form.data}
        self.form.data = {**typed, **shown}

    def is_valid(self) -> bool:
        """Asks all three, so that every field's complaint is shown at once."""
        parts = (self.form, self.care_cards, self.references)
        return [part.is_valid() for part in parts].count(False) == 0

    def written(self) -> Written:
        """What was typed; a card or reference that is all empty is gone."""
        data = self.form.cleaned_data
        cards = [one.content() for one in self.care_cards if one.cleaned_data]
        references = [one.content() for one in self.references if one.cleaned_data]
        return Written(
            content={
                "title": data["title"],
                "summary": data["summary"],
                "key_points": lines(data["key_points"]),
                # Browsers send CRLF; what was not changed must stay the same.
                "body": data["body"].replace("\r\n", "\n"),
                "care_cards": [one for one in cards if any(one.values())],
                "references": [one for one in references if any(one.values())],
            },
            byline=data["byline"],
            machine_assisted=data["machine_assisted"],
            note=data["note"],
        )


class SectionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Section
        fields = ["slug", "title", "introduction", "position"]

    def clean_title(self) -> str:
        return self._said("title")

    def clean_introduction(self) -> str:
        return self._said("introduction")

    def _said(self, name: str) -> str:
        text = in_one_line(self.cleaned_data[name])
        claims_no_review(text)
        return text


def in_one_line(text: str) -> str:
    """Without what nobody can see, which no feed can carry."""
    return " ".join(tidy(text).split())


def lines(text: str) -> list[str]:
    return [one.strip() for one in text.splitlines() if one.strip()]


class ReasonForm(forms.Form):
    reason = forms.CharField(
        widget=forms.Textarea({**WIDE, "rows": 4}), validators=[claims_no_review]
    )


class WithdrawForm(ReasonForm):
    reason = forms.CharField(
        widget=forms.Textarea({**WIDE, "rows": 4}),
        validators=[claims_no_review],
        help_text="Readers who come looking see this.",
    )
    replaced_by = forms.ModelChoiceField(
        Article.objects.none(),
        required=False,
        label="Send readers to",
        help_text="Instead of telling them that the page is gone.",
    )

    def __init__(self, *args: Any, article: Article, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = Article.objects.published().exclude(pk=article.pk).order_by("slug")
        self.fields["replaced_by"].queryset = others  # type: ignore[attr-defined]


class NoteForm(forms.Form):
    note = forms.CharField(
        widget=forms.Textarea({**WIDE, "rows": 4}),
        validators=[claims_no_review],
        help_text="What was wrong and what is right. It stands on the page with "
        "today’s date and can’t be taken back.",
    )


class AddressForm(forms.Form):
    slug = forms.CharField(
        label="New address",
        max_length=50,
        validators=[IS_ADDRESS],
        help_text="Small letters and hyphens, as in eyelid-twitch.",
    )


class SubmitForm(forms.Form):
    assignee = forms.ModelChoiceField(
        Clinician.objects.none(),
        required=False,
        empty_label="Any clinician",
        help_text="They get a mail.",
    )
    due_on = forms.DateField(
        required=False,
        label="Wanted by",
        widget=forms.DateInput({"type": "date"}),
    )
    note = forms.CharField(
        required=False,
        widget=forms.Textarea({**WIDE, "rows": 4}),
        help_text="What the clinician should know.",
    )

    def __init__(self, *args: Any, authors: list[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fit = Clinician.objects.able_to_sign().exclude(user__in=authors)
        self.fields["assignee"].queryset = fit  # type: ignore[attr-defined]


class ScheduleForm(forms.Form):
    planned_for = forms.DateTimeField(
        required=False,
        label="At (UTC)",
        widget=forms.DateTimeInput({"type": "datetime-local"}),
        help_text="Leave it empty to publish as soon as a clinician approves the text.",
    )

    def clean_planned_for(self) -> datetime | None:
        planned: datetime | None = self.cleaned_data["planned_for"]
        if planned is None:
            return None
        # Far from both ends of the calendar, where no date can be reckoned from.
        if not timezone.now().year - 1 <= planned.year <= timezone.now().year + 10:
            raise forms.ValidationError("Choose a minute within the next ten years.")
        return planned.astimezone(UTC)


class UploadForm(forms.Form):
    picture = forms.FileField(
        help_text="JPEG, PNG, WebP or AVIF, up to 10 MB and 40 megapixels. It is "
        "stored anew in several sizes, without what the camera wrote into it."
    )
