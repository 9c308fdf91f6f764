"""The short form of `make chaos`: nobody lost, nobody mailed twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.scenarios import SCENARIOS
from tests.chaos.site import ROOT

SHORT = [one.id for one in SCENARIOS.values() if one.in_tests]
Row = dict[str, object]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """What each scenario ended with, all of them played for one seed."""
    folder = tmp_path_factory.mktemp("chaos") / "run"
    command = [sys.executable, "-m", "tests.chaos", "--short", "--json"]
    done = subprocess.run(
        [*command, "--seeds", "1", "--folder", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.stdout, done.stderr + logs(folder)
    return {str(row["scenario"]): row for row in json.loads(done.stdout)}


def logs(folder: Path) -> str:
    return "".join(path.read_text()[-2000:] for path in folder.glob("log/*.log"))


@pytest.mark.parametrize("scenario", SHORT)
def test_nobody_is_lost_or_mailed_twice_when(
    rows: dict[str, Row], scenario: str
) -> None:
    row = rows[scenario]

    assert int(str(row["eligible"])) > 0
    assert (row["lost"], row["twice"], row["complaints"]) == (0, 0, [])
