"""Every message the site sends is a row here. Knows no newsletter.

This package face is the door: other apps use these names and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mail.addresses import NotAnAddress as NotAnAddress
    from mail.addresses import canonical_address as canonical_address
    from mail.batches import account as account
    from mail.batches import cancel as cancel
    from mail.batches import correct as correct
    from mail.batches import has_ended as has_ended
    from mail.batches import resume as resume
    from mail.batches import to_correct as to_correct
    from mail.building import UNSUBSCRIBE as UNSUBSCRIBE
    from mail.building import TipMail as TipMail
    from mail.counting import counts as counts
    from mail.environment import why_held as why_held
    from mail.hints import wake as wake
    from mail.limits import Paused as Paused
    from mail.limits import Rate as Rate
    from mail.limits import TooMany as TooMany
    from mail.limits import TooManyFromNetwork as TooManyFromNetwork
    from mail.limits import admit as admit
    from mail.links import address_macs as address_macs
    from mail.links import is_signed as is_signed
    from mail.links import read_token as read_token
    from mail.links import token as token
    from mail.links import token_key as token_key
    from mail.models import Batch as Batch
    from mail.models import Delivery as Delivery
    from mail.models import KeptSuppression as KeptSuppression
    from mail.models import Recipient as Recipient
    from mail.networks import network_of as network_of
    from mail.objections import MayNotGoOn as MayNotGoOn
    from mail.objections import ask_before_going_on as ask_before_going_on
    from mail.pausing import pause as pause
    from mail.proving import Step as Step
    from mail.proving import send_test as send_test
    from mail.queueing import drop_waiting as drop_waiting
    from mail.queueing import enqueue as enqueue
    from mail.queueing import start_batch as start_batch
    from mail.queueing import tell_staff as tell_staff
    from mail.recipients import block as block
    from mail.recipients import erase as erase
    from mail.recipients import kept_off as kept_off
    from mail.recipients import lift_block as lift_block
    from mail.recipients import recipient_for as recipient_for
    from mail.recipients import recipients_for as recipients_for
    from mail.rendering import absolute as absolute
    from mail.rendering import render as render
    from mail.retention import count_up_old as count_up_old
    from mail.tallying import Limit as Limit
    from mail.tallying import count as count

_DOOR = {
    "NotAnAddress": "addresses",
    "canonical_address": "addresses",
    "account": "batches",
    "cancel": "batches",
    "correct": "batches",
    "has_ended": "batches",
    "resume": "batches",
    "to_correct": "batches",
    "TipMail": "building",
    "UNSUBSCRIBE": "building",
    "counts": "counting",
    "why_held": "environment",
    "wake": "hints",
    "Paused": "limits",
    "Rate": "limits",
    "TooMany": "limits",
    "TooManyFromNetwork": "limits",
    "admit": "limits",
    "address_macs": "links",
    "is_signed": "links",
    "read_token": "links",
    "token": "links",
    "token_key": "links",
    "Batch": "models",
    "Delivery": "models",
    "KeptSuppression": "models",
    "Recipient": "models",
    "network_of": "networks",
    "MayNotGoOn": "objections",
    "ask_before_going_on": "objections",
    "pause": "pausing",
    "Step": "proving",
    "send_test": "proving",
    "drop_waiting": "queueing",
    "enqueue": "queueing",
    "start_batch": "queueing",
    "tell_staff": "queueing",
    "block": "recipients",
    "erase": "recipients",
    "kept_off": "recipients",
    "lift_block": "recipients",
    "recipient_for": "recipients",
    "recipients_for": "recipients",
    "absolute": "rendering",
    "render": "rendering",
    "count_up_old": "retention",
    "Limit": "tallying",
    "count": "tallying",
}
__all__ = sorted(_DOOR)


def __getattr__(name: str) -> Any:
    """Models can't be imported while Django is still reading its app list."""
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(import_module(f"mail.{_DOOR[name]}"), name)
