"""What a person sees: steps that line up, refusals that can be copied."""

import re
from pathlib import Path

import pytest

from twitchsite.embedded import CannotStart
from twitchsite.embedded.screen import WIDTH, Screen


def test_a_step_fills_the_width_and_says_how_long(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Screen().step("database", "PostgreSQL 18.6"):
        pass

    line = capfd.readouterr().out.removesuffix("\n")
    assert re.fullmatch(r"  database       PostgreSQL 18\.6 \.+   0\.0 s", line)
    assert len(line) == WIDTH


def test_a_failed_step_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), Screen().step("web", "granian"):
        raise ValueError("no")

    assert capfd.readouterr().out.endswith("... failed\n")


def test_columns_of_a_table_line_up(capfd: pytest.CaptureFixture[str]) -> None:
    Screen().table([["role", "name"], ["newsletter manager", "nadia"]])

    assert capfd.readouterr().out == (
        "    role                 name\n    newsletter manager   nadia\n"
    )


def test_a_refusal_keeps_paths_whole(capfd: pytest.CaptureFixture[str]) -> None:
    path = Path("/a/very-long/" + "folder-name/" * 10)

    Screen().refusal(CannotStart(f"{path} is bad.", "Do this.", lines=["FATAL: x"]))

    assert capfd.readouterr().out == f"\n{path}\nis bad.\n    FATAL: x\nDo this.\n"


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    Screen(descriptor=9_999).line("into the void")


def test_no_colour_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    Screen().heading("twitchsite")

    assert capfd.readouterr().out == "twitchsite\n"
