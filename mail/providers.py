"""The mail providers whose webhooks are understood, and where each says what.

Sending stays SMTP: a header takes our delivery's key along and comes back with every
event. Anymail makes the events alike; what it makes too much alike (a full mailbox and
one that never was are both "bounced") is read from the provider's own words.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string

# Under this name the key travels in a provider's metadata.
DELIVERY = "delivery"


@dataclass(frozen=True)
class Provider:
    """Paths lead into an event: names, `*` for the only value, numbers for places."""

    view: str
    # The keyword under which the view takes the secret.
    proof: str
    # The header that carries the key out; `{}` is where it stands.
    header: str = ""
    # Where the return address stands, for a provider that tells it.
    envelope_from: str = ""
    # Where an enhanced status stands, alone or at the start of a server's reply.
    status: tuple[str, ...] = ()
    # Where the provider's own words stand, and what each means, in lower case.
    words: tuple[str, ...] = ()
    hard: frozenset[str] = frozenset()
    policy: frozenset[str] = frozenset()
    # It no longer writes to this address, and asked no server this time.
    listed: frozenset[str] = frozenset()

    @property
    def asks_for_a_password(self) -> bool:
        """Basic authentication; the others sign what they send."""
        return self.proof == "webhook_secret"

    def receiver(self, secret: str) -> Any:
        """The view that proves and reads this provider's requests.

        Raises whatever a senseless secret makes it raise.
        """
        return import_string(self.view)(**{self.proof: secret})


def said(event: Any, path: str) -> str:
    """The text or number at `path`; empty when there is none."""
    for step in path.split("."):
        if step == "*" and isinstance(event, dict) and len(event) == 1:
            (event,) = event.values()
        elif isinstance(event, dict):
            event = event.get(step)
        elif isinstance(event, list) and step.isdecimal() and int(step) < len(event):
            event = event[int(step)]
        else:
            return ""
    return str(event) if isinstance(event, str | int) else ""


PROVIDERS = {
    "brevo": Provider(
        view="anymail.webhooks.brevo.BrevoTrackingWebhookView",
        proof="webhook_secret",
        header='X-Mailin-custom: {{"delivery": "{}"}}',
        status=("reason",),
        words=("event",),
        hard=frozenset({"hard_bounce", "invalid_email"}),
        listed=frozenset({"blocked"}),
    ),
    "mailgun": Provider(
        view="anymail.webhooks.mailgun.MailgunTrackingWebhookView",
        proof="webhook_signing_key",
        header='X-Mailgun-Variables: {{"delivery": "{}"}}',
        status=(
            "event-data.delivery-status.enhanced-code",
            "event-data.delivery-status.message",
        ),
        words=("event-data.event", "event-data.reason"),
        hard=frozenset({"bounce"}),
        policy=frozenset({"rejected"}),
        listed=frozenset(
            {"suppress-bounce", "suppress-complaint", "suppress-unsubscribe"}
        ),
    ),
    "mailjet": Provider(
        view="anymail.webhooks.mailjet.MailjetTrackingWebhookView",
        proof="webhook_secret",
        header='X-MJ-EventPayload: {{"delivery": "{}"}}',
        status=("comment",),
        words=("error",),
        hard=frozenset(
            {
                "user unknown",
                "mailbox inactive",
                "invalid domain",
                "no mail host",
                "typofix",
            }
        ),
        policy=frozenset({"sender blocked", "content blocked", "policy issue"}),
        listed=frozenset({"preblocked", "blacklisted", "spam reporter"}),
    ),
    "postmark": Provider(
        view="anymail.webhooks.postmark.PostmarkTrackingWebhookView",
        proof="webhook_secret",
        header="X-PM-Metadata-delivery: {}",
        status=("Details",),
        words=("Type",),
        hard=frozenset({"hardbounce", "bademailaddress"}),
        policy=frozenset(
            {"blocked", "spamnotification", "dmarcpolicy", "virusnotification"}
        ),
        listed=frozenset({"manuallydeactivated"}),
    ),
    "resend": Provider(
        view="mail.receivers.Resend",
        proof="signing_secret",
        header='X-Metadata: {{"delivery": "{}"}}',
        status=("data.bounce.diagnosticCode.0",),
        words=("data.bounce.type", "data.bounce.subType"),
        hard=frozenset({"permanent", "permanent general", "permanent noemail"}),
        policy=frozenset({"transient contentrejected", "transient attachmentrejected"}),
        listed=frozenset(
            {"permanent suppressed", "permanent onaccountsuppressionlist"}
        ),
    ),
    "sendgrid": Provider(
        view="anymail.webhooks.sendgrid.SendGridTrackingWebhookView",
        proof="tracking_webhook_verification_key",
        header='X-SMTPAPI: {{"unique_args": {{"delivery": "{}"}}}}',
        status=("status", "reason"),
        words=("type", "reason"),
        hard=frozenset({"bounce"}),
        policy=frozenset({"spam content"}),
        listed=frozenset(
            {
                "bounced address",
                "invalid",
                "spam reporting address",
                "unsubscribed address",
            }
        ),
    ),
    "ses": Provider(
        view="mail.receivers.AmazonSes",
        proof="webhook_secret",
        envelope_from="mail.source",
        status=("bounce.bouncedRecipients.0.status",),
        words=(
            "bounce.bounceType",
            "bounce.bounceSubType",
            "reject.reason",
            "complaint.complaintFeedbackType",
        ),
        hard=frozenset({"permanent"}),
        policy=frozenset({"contentrejected", "attachmentrejected", "bad content"}),
        listed=frozenset({"suppressed", "onaccountsuppressionlist"}),
    ),
    "sparkpost": Provider(
        view="anymail.webhooks.sparkpost.SparkPostTrackingWebhookView",
        proof="webhook_secret",
        header='X-MSYS-API: {{"metadata": {{"delivery": "{}"}}}}',
        status=("msys.*.raw_reason",),
        words=("msys.*.bounce_class", "msys.*.fbtype"),
        # Invalid recipient, no recipient; block, spam block, spam content, relaying;
        # its own policies, among them its list.
        hard=frozenset({"10", "30"}),
        policy=frozenset({"50", "51", "52", "54"}),
        listed=frozenset({"25"}),
    ),
}
