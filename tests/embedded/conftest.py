"""Real servers in folders of their own; nothing of it stays."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from twitchsite import embedded
from twitchsite.embedded import Services, places


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Both servers for tests that only look."""
    with embedded.running(tmp_path_factory.mktemp("var"), durable=False) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "var"


@pytest.fixture(autouse=True)
def quarters_area(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where root's servers keep durable data, instead of /var/lib."""
    area = Path(tempfile.mkdtemp(prefix="twitchsite-area-", dir="/tmp"))
    area.chmod(0o755)
    monkeypatch.setattr(places, "STANDARD_QUARTERS", area)
    yield area
    shutil.rmtree(area)
