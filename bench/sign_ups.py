"""A rush on the box: are all taken in, resolved and chained?

    python -m bench.sign_ups [a second] [seconds]

Everybody comes from a network of their own, over the trusted proxy's header, to the
site as `up` starts it; worker and sealer are at work meanwhile.
"""

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import local

from bench.site import Answer, Browser, site
from bench.stand import say

CONNECTIONS = 16
PATIENCE_SECONDS = 300
NETWORKS = 250


def rush(port: int, a_second: int, seconds: int) -> tuple[list[Answer], float]:
    """Everybody's answer, and how late the last of them could be asked."""
    begun = time.monotonic() + 0.5
    kept = local()

    def one(number: int) -> tuple[Answer, float]:
        due = begun + number / a_second
        time.sleep(max(due - time.monotonic(), 0))
        late = time.monotonic() - due
        if not hasattr(kept, "browser"):
            kept.browser = Browser(port)
        client = f"10.{number // NETWORKS}.{number % NETWORKS}.1"
        return kept.browser.sign_up(f"rush{number}@example.com", client=client), late

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        ends = list(threads.map(one, range(a_second * seconds)))
    return [answer for answer, _ in ends], max(late for _, late in ends)


def report(port: int, a_second: int, seconds: int) -> None:
    from newsletter.models import SignUp, Subscriber

    known = Subscriber.objects.count()
    begun = time.monotonic()
    answers, late = rush(port, a_second, seconds)
    took = time.monotonic() - begun
    resolved_in_time = Subscriber.objects.count() - known
    taken = SignUp.objects.count() + Subscriber.objects.count() - known
    milliseconds = sorted(one.seconds * 1000 for one in answers)
    say(f"{a_second} sign-ups a second for {seconds} s, {CONNECTIONS} connections")
    say(f"  asked               {len(answers):7,}  the last {late:.2f} s late")
    say(f"  answered 2xx        {sum(one.status == 200 for one in answers):7,}")
    say(f"  taken in            {taken:7,}  in {took:.1f} s")
    say(
        f"  an answer took      {statistics.median(milliseconds):7.1f}  ms in the "
        f"median, 99 % within {milliseconds[len(milliseconds) * 99 // 100]:.1f} ms"
    )
    while SignUp.objects.exists() and time.monotonic() - begun < PATIENCE_SECONDS:
        time.sleep(0.1)
    resolved = Subscriber.objects.count() - known
    say(
        f"  resolved            {resolved:7,}  {resolved_in_time:,} of them meanwhile, "
        f"the last {time.monotonic() - begun - took:.1f} s after the rush"
    )
    say(f"  verifyledger        {_verdict()}")


def _verdict() -> str:
    from django.core.management import CommandError, call_command

    from ledger.models import Unsealed

    while Unsealed.objects.exists():
        time.sleep(0.2)
    output = StringIO()
    try:
        call_command("verifyledger", stdout=output, stderr=StringIO())
    except CommandError as error:
        return str(error)
    return output.getvalue().strip().splitlines()[-1]


def main(a_second: int, seconds: int) -> None:
    with site(at_work=True) as port:
        report(port, a_second, seconds)


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(*(given + [200, 10][len(given) :]))
