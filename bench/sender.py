"""One sending process of the bench: threads that send until nothing is due.

Prints "ready" when it stands, waits for a line on standard input, sends, prints how
many claims it worked on.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import django

django.setup()

from django.db import connection, connections  # noqa: E402

from mail.claiming import is_due  # noqa: E402
from mail.sending import send_due  # noqa: E402


def stand() -> None:
    connection.ensure_connection()


def work() -> int:
    worked = 0
    try:
        # A shift ends after a minute; in a real sender the next task goes on.
        while is_due():
            worked += send_due()
        return worked
    finally:
        connections.close_all()


def main(threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for waiting in [pool.submit(stand) for _ in range(threads)]:
            waiting.result()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        worked = [pool.submit(work) for _ in range(threads)]
        sys.stdout.write(f"{sum(one.result() for one in worked)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
