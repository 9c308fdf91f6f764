"""How many agreed to which words and to which Terms: nobody's consent is re-pointed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from django.db import connection

# Each confirmation with the words and the Terms that were newest for that person then,
# and whether nothing came after it.
_AGREED = """
    WITH told AS (
        SELECT id, subscriber_key, matter, act,
            max(id) FILTER (WHERE matter = 'newsletter' AND wording_id IS NOT NULL)
                OVER until_then AS wording_event,
            max(id) FILTER (WHERE matter = 'terms' AND terms_id IS NOT NULL)
                OVER until_then AS terms_event,
            max(id) FILTER (WHERE matter = 'newsletter'
                AND act IN ('confirmed', 'withdrawn', 'erased'))
                OVER (PARTITION BY subscriber_key) AS last_word
        FROM newsletter_consentevent
        WINDOW until_then AS (PARTITION BY subscriber_key ORDER BY id)
    )
    SELECT asked.{column}, count(DISTINCT told.subscriber_key),
        count(*) FILTER (WHERE told.id = told.last_word)
    FROM told JOIN newsletter_consentevent AS asked ON asked.id = told.{event}
    WHERE told.matter = 'newsletter' AND told.act = 'confirmed'
    GROUP BY 1
"""


@dataclass(frozen=True)
class Agreed:
    """People who confirmed, and how many of them are on the list by it today."""

    confirmed: int = 0
    still_on_the_list: int = 0


def agreed_to(what: Literal["wording", "terms"]) -> Mapping[int, Agreed]:
    """By the id of a wording, or of a revision of the Terms."""
    with connection.cursor() as cursor:
        cursor.execute(_AGREED.format(column=f"{what}_id", event=f"{what}_event"))
        return {pk: Agreed(*counts) for pk, *counts in cursor.fetchall()}
