"""One sending process of the bench.

Prints "ready" when it stands, waits for a line on standard input, sends until nothing
is due, prints how many deliveries it began.
"""

import sys

import django

django.setup()

from django.db import connection  # noqa: E402

from mail.claiming import is_due  # noqa: E402
from mail.sending import send_due  # noqa: E402


def main() -> None:
    connection.ensure_connection()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begun = 0
    # A shift ends after a minute; in a real sender the next task goes on.
    while is_due():
        begun += send_due()
    sys.stdout.write(f"{begun}\n")


if __name__ == "__main__":
    main()
