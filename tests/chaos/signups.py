"""People who sign up through the site's own web server while something happens."""

import http.client
import socket
from threading import Event, Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from django.core.management import call_command

from articles import loading
from articles.models import Article
from articles.publishing import publish
from mail import Delivery
from newsletter.models import SignUp
from tests.chaos import journal
from tests.chaos.site import READY_SECONDS, until
from tests.chaos.trial import Mailing, Trial
from twitchsite import demonstration
from twitchsite.embedded.processes import Child
from twitchsite.up import WEB

EVERY_SECONDS = 0.3
NO_ANSWER = 599
HEADERS = {
    "Host": "health.example",
    "X-Forwarded-Proto": "https",
    "Content-Type": "application/x-www-form-urlencoded",
}


class SignUps:
    """One person after the other, in a thread; nobody in the short form."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._ended = Event()
        self._thread = Thread(target=self._go_on)
        self._web: Child | None = None
        self._port = 0
        self._answers: dict[str, int] = {}

    def __enter__(self) -> Self:
        if not self._trial.is_short:
            self._open()
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._web:
            self._thread.join()
            self._web.stop()

    def _open(self) -> None:
        for revision, _ in loading.load(operator_fact=demonstration.example_of):
            if revision.article.kind == Article.Kind.POLICY:
                publish(revision)
        call_command("collectstatic", verbosity=0, interactive=False)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self._web = self._trial.site.child("web", (*WEB, "--port", str(self._port)))
        self._web.start()
        ready = until(lambda: self._ask("GET", "/healthz") == 200, READY_SECONDS)
        self._trial.expect(ready, "the web server did not get ready")

    def _go_on(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            address = f"reader{len(self._answers)}@example.org"
            form = urlencode({"email": address})
            self._answers[address] = self._ask("POST", "/newsletter/", form)

    def _ask(self, method: str, path: str, form: str = "") -> int:
        """The status of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(method, path, form, HEADERS)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return NO_ANSWER
        finally:
            connection.close()

    def expect_one_confirmation_each(self, mailing: Mailing) -> None:
        """Everybody was answered kindly, and got one mail to confirm."""
        unkind = sorted({one for one in self._answers.values() if one >= 400})
        self._trial.expect(not unkind, f"sign-ups were answered {unkind}")
        self._trial.expect(
            until(self._all_resolved, 60), "sign-ups were not resolved after 60 s"
        )
        taken = journal.taken(journal.read(mailing.journal))
        wrong = [one for one in self._answers if taken[one] != 1]
        self._trial.expect(not wrong, f"{len(wrong)} readers got no mail, or two")

    def _all_resolved(self) -> bool:
        self._trial.site.look_after()
        self._trial.hint("newsletter.resolve_sign_ups")
        self._trial.hurry()
        confirmations = Delivery.objects.filter(kind=Delivery.Kind.CONFIRMATION)
        return not (SignUp.objects.exists() or confirmations.unfinished().exists())
