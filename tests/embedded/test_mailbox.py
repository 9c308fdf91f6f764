"""The mailbox keeps what it was sent, byte for byte."""

import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from twitchsite.embedded import mailbox

SENDER = "tips@health.example"
READER = "rosa@reader.example"


class InProcess(Controller):
    """The same server in a thread of the test."""

    def factory(self) -> mailbox.Mailbox:
        return mailbox.protocol(self.handler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mail"


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    controller = InProcess(mailbox.Keeper(folder), hostname="127.0.0.1", port=0)
    # The controller would ask its own port 0 whether it is up.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
    controller.start()
    yield int(controller.port)
    controller.stop()


def send(port: int, content: bytes, *options: str) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, [READER], content, mail_options=options)


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\n...\r\nend\r\n",
        "Subject: Zuckungen\r\n\r\nMüde Augen 🙂\r\n".encode(),
        b"Subject: bytes\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
        b"Subject: long\r\n\r\n" + b"x" * 100_000 + b"\r\n",
        b"\r\n",
        b"Subject: trailing space  \r\n\r\n \t \r\n\r\n\r\n",
    ],
    ids=["dots", "utf-8", "8-bit", "long line", "empty", "white space"],
)
def test_a_message_is_kept_byte_for_byte(
    port: int, folder: Path, content: bytes
) -> None:
    send(port, content, "BODY=8BITMIME")

    assert (folder / "1.eml").read_bytes() == content


def test_the_envelope_lies_beside_the_message(port: int, folder: Path) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, [READER, "carla@clinic.example"], b"Subject: x\r\n\r\n")

    [stored] = mailbox.messages(folder)
    assert stored.envelope["from"] == SENDER
    assert stored.envelope["to"] == [READER, "carla@clinic.example"]
    assert stored.envelope["at"].endswith("+00:00")


def test_addresses_may_be_international(port: int, folder: Path) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("tips@health.example", ["SMTPUTF8"])
        client.rcpt("jürgen@müller.example")
        client.data(b"Subject: x\r\n\r\n")

    assert mailbox.messages(folder)[0].envelope["to"] == ["jürgen@müller.example"]


def test_numbers_go_on_after_a_restart_and_sort_as_numbers(
    port: int, folder: Path
) -> None:
    for name in ("9.eml", "10.eml", "notes.eml"):
        (folder / name).touch()

    send(port, b"Subject: from the server that counted before\r\n\r\n")
    mailbox.Keeper(folder)

    assert [stored.number for stored in mailbox.messages(folder)] == [1, 9, 10]
    assert mailbox.Keeper(folder)._next == 11


def test_a_number_that_is_taken_is_left_to_its_owner(port: int, folder: Path) -> None:
    (folder / "1.json").write_text("{}")

    send(port, b"Subject: second\r\n\r\n")

    assert [stored.number for stored in mailbox.messages(folder)] == [2]
    assert (folder / "1.json").read_text() == "{}"


def test_a_message_that_cannot_be_kept_is_not_accepted(port: int, folder: Path) -> None:
    folder.rmdir()

    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(port, b"Subject: lost\r\n\r\n")

    assert refused.value.smtp_code == 452


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert mailbox.messages(tmp_path / "none") == []


def test_it_serves_a_socket_it_inherits(folder: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        number = listening.fileno()
        command = [sys.executable, "-m", "twitchsite.embedded.mailbox", str(folder)]
        with subprocess.Popen([*command, str(number)], pass_fds=[number]) as server:
            send(listening.getsockname()[1], b"Subject: hello\r\n\r\n")
            server.terminate()
            assert server.wait(10) == 0

    assert (folder / "1.eml").read_bytes() == b"Subject: hello\r\n\r\n"
