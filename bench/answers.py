"""Does the time of an answer tell who is on the list?

    python -m bench.answers [tries]

Tries over all kinds of addresses, one of each in turn, so that whatever else the
machine does falls on all kinds alike.
"""

import statistics
import sys

from bench.site import Browser, site
from bench.stand import say

GOAL_MS = 3.0
KINDS = ("new", "pending", "confirmed", "suppressed", "blocked")


def people(each: int) -> None:
    """So many of each kind but the new ones."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH made AS (
              INSERT INTO mail_recipient
                (address, may_receive, suppression, suppressed_at)
              SELECT kind || n || '@example.com', kind = 'confirmed',
                CASE kind WHEN 'suppressed' THEN 'hard bounce'
                  WHEN 'blocked' THEN 'manual' ELSE '' END,
                CASE WHEN kind IN ('suppressed', 'blocked') THEN now() END
              FROM generate_series(1, %s) AS n,
                unnest(ARRAY['pending', 'confirmed', 'suppressed', 'blocked']) AS kind
              RETURNING id, address
            )
            INSERT INTO newsletter_subscriber
              (key, recipient_id, status, confirmed_at, topics, frequency, time_zone)
            SELECT gen_random_uuid(), id,
              CASE WHEN address LIKE 'pending%%' THEN 'unconfirmed'
                ELSE 'confirmed' END,
              now(), '{}', 'weekly', 'UTC'
            FROM made
            """,
            [each],
        )


def milliseconds(port: int, each: int) -> dict[str, list[float]]:
    browser = Browser(port)
    for number in range(50):
        browser.sign_up(f"warm{number}@example.com", client=f"10.9.{number}.1")
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    bodies = set()
    for number in range(1, each + 1):
        for place in range(len(KINDS)):
            # Nobody is always the first of a round.
            kind = KINDS[(place + number) % len(KINDS)]
            address = f"{kind}{number}@example.com"
            client = f"10.{number % 200}.{place}.1"
            answer = browser.sign_up(address, client=client)
            assert answer.status == 200, answer
            times[kind].append(answer.seconds * 1000)
            bodies.add(answer.body)
    assert len(bodies) == 1, "the answers differ"
    return times


def main(tries: int) -> None:
    each = tries // len(KINDS)
    with site(at_work=False) as port:
        people(each)
        times = milliseconds(port, each)
    medians = {kind: statistics.median(taken) for kind, taken in times.items()}
    say(f"{each * len(KINDS):,} sign-ups in turn, the answers alike to the byte")
    for kind, median in medians.items():
        spread = statistics.quantiles(times[kind], n=20)
        say(f"  {kind:12} median {median:5.2f} ms   95 % within {spread[-1]:5.2f} ms")
    most = max(medians.values()) - min(medians.values())
    say(f"  greatest difference of medians {most:.2f} ms (goal {GOAL_MS:.0f} ms)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
