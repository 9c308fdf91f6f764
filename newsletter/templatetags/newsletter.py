from django import template

from newsletter import wording
from newsletter.forms import SubscribeForm
from newsletter.subscribing import signup_is_open

register = template.Library()


@register.inclusion_tag("newsletter/includes/subscribe_box.html")
def subscribe_box() -> dict[str, object]:
    """The box itself: form, purpose and the sentence on the Terms."""
    return {
        "form": SubscribeForm(),
        "wording": {"purpose": wording.PURPOSE, "agreement": wording.AGREEMENT},
        "signup_open": signup_is_open(),
    }
