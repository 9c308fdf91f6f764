"""What happens to the processes that send."""

import time

from mail.claiming import lease
from tests.chaos.site import CONNECTIONS_EACH, READY_SECONDS, family, until
from tests.chaos.trial import Trial
from twitchsite.embedded.processes import Child

# What a sweep and the rest may take after the last lease has ended.
SWEEP_SECONDS = 60
# What a supervisor waits before it kills.
EXIT_SECONDS = 30


def killed(trial: Trial) -> None:
    """All is done soon after the last kill, by beat's own sweep."""
    trial.people(trial.size(2000, 200))
    mailing = trial.mail(trial.slow)
    for _ in range(trial.size(20, 3)):
        time.sleep(trial.random.uniform(2.5, 3.5) / trial.size(1, 3))
        victim = _one_at_work(trial)
        trial.kill(victim)
        trial.site.start(victim)
    limit = lease().total_seconds() + SWEEP_SECONDS
    trial.until_settled(mailing, limit, hurried=trial.is_short)
    trial.expect_few_uncertain(CONNECTIONS_EACH)


def _one_at_work(trial: Trial) -> Child:
    """Killing one that is still starting would try nothing."""
    senders = trial.site.senders
    until(lambda: any(map(trial.site.is_ready, senders)), READY_SECONDS)
    return trial.random.choice([one for one in senders if trial.site.is_ready(one)])


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
            trial.site.start(sender)
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
