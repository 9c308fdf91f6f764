"""What happens to the processes that send."""

import time

from mail.claiming import lease
from tests.chaos.site import CONNECTIONS_EACH, family, until
from tests.chaos.trial import Trial

# Beat's own for `mail.sweep`.
SWEEP_SECONDS = 60
# What a supervisor waits before it kills.
EXIT_SECONDS = 30


def killed(trial: Trial) -> None:
    """All is done soon after the last kill, by beat's own sweep."""
    trial.people(trial.size(2000, 200))
    mailing = trial.mail(trial.slow)
    for _ in range(trial.size(20, 3)):
        time.sleep(trial.random.uniform(2.5, 3.5) / trial.size(1, 2))
        victim = trial.random.choice(trial.site.senders)
        trial.kill(victim)
        victim.start()
    limit = lease().total_seconds() + SWEEP_SECONDS
    trial.until_settled(mailing, limit, hurried=trial.is_short)
    trial.expect_few_uncertain(CONNECTIONS_EACH)


def deployed(trial: Trial) -> None:
    """A polite end leaves nothing in doubt."""
    people = trial.size(1000, 100)
    trial.people(people)
    mailing = trial.mail(trial.slow)
    for share in (0.2, 0.5):
        trial.until_taken(
            mailing, int(people * trial.random.uniform(share, share + 0.2))
        )
        for sender in trial.site.senders:
            family(sender)[0].terminate()
        gone = until(
            lambda: not any(one.is_running() for one in trial.site.senders),
            EXIT_SECONDS,
        )
        trial.expect(gone, f"a sender was still there {EXIT_SECONDS} s after SIGTERM")
        for sender in trial.site.senders:
            sender.stop()
            sender.start()
    trial.until_settled(mailing)
    trial.expect_few_uncertain(0)


def frozen(trial: Trial) -> None:
    """SIGSTOP until after the lease: the sender wakes up with claims not its own."""
    trial.people(400)
    mailing = trial.mail(trial.slow)
    for _ in range(2):
        time.sleep(trial.random.uniform(1, 3))
        sender = family(trial.random.choice(trial.site.senders))
        trial.kills += 1
        for process in sender:
            process.suspend()
        ends = time.monotonic() + lease().total_seconds() + 2
        while time.monotonic() < ends:
            trial.hurry()
            time.sleep(0.5)
        for process in sender:
            process.resume()
    trial.until_settled(mailing)
    trial.expect_few_uncertain(CONNECTIONS_EACH)
