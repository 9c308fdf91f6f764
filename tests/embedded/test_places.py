"""Folders: nobody else's is touched, and nobody else gets into ours."""

import os
from pathlib import Path

import pytest

from tests.embedded.test_servers import quarters_of
from twitchsite import embedded
from twitchsite.embedded import CannotStart, DataFolder
from twitchsite.embedded.places import LOG_LIMIT_BYTES, private_folder, write_secret

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs quarters")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may do all this")


def test_a_folder_for_sockets_is_made_for_this_user_alone(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "sockets")

    assert made.stat().st_mode & 0o777 == 0o700


def test_stale_sockets_are_removed(tmp_path: Path) -> None:
    stale = private_folder(tmp_path / "sockets") / ".s.PGSQL.5432.lock"
    stale.touch()

    private_folder(tmp_path / "sockets")

    assert not stale.exists()


def test_a_link_in_place_of_the_sockets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "sockets").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(CannotStart, match="not a folder of this user alone"):
        private_folder(tmp_path / "sockets")


def test_a_folder_for_sockets_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sockets").mkdir()
    (tmp_path / "sockets").chmod(0o755)

    with pytest.raises(CannotStart, match="not a folder of this user alone"):
        private_folder(tmp_path / "sockets")


def test_a_data_folder_that_is_a_file_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "var").touch()

    with pytest.raises(CannotStart) as refused:
        embedded.data_folder(tmp_path / "var").__enter__()

    assert "File exists" in refused.value.problem
    assert refused.value.remedy.startswith("Choose another: DATA_DIR=")


@as_user
def test_an_unwritable_data_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(CannotStart, match="Permission denied"):
        embedded.data_folder(tmp_path / "var").__enter__()


def test_a_secret_is_whole_and_private(tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_text("cut short by a cra")

    write_secret(tmp_path / "secret", "text")

    assert (tmp_path / "secret").read_text() == "text"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_long_log_steps_aside(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    folder = DataFolder(tmp_path)
    folder.log("web").write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))

    assert not folder.rotated_log("web").exists()

    assert (tmp_path / "log" / "web.log.1").stat().st_size > LOG_LIMIT_BYTES


@as_root
def test_servers_of_root_live_elsewhere_and_are_found_again(folder: Path) -> None:
    with quarters_of(folder) as first:
        assert first.user is not None
        assert first.user.pw_uid != 0
        assert folder not in first.path.parents

    with quarters_of(folder) as second:
        assert second.path == first.path


@as_root
def test_a_copied_data_folder_does_not_share_the_servers(
    folder: Path, tmp_path: Path
) -> None:
    with quarters_of(folder):
        pass
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "servers").write_text((folder / "servers").read_text())

    with pytest.raises(CannotStart, match=f"was copied from {folder}"):
        quarters_of(tmp_path / "copy").__enter__()


@as_root
def test_a_moved_data_folder_keeps_its_servers(folder: Path, tmp_path: Path) -> None:
    with quarters_of(folder) as before:
        pass
    folder.rename(tmp_path / "moved")

    with quarters_of(tmp_path / "moved") as after:
        assert after.path == before.path


@as_root
def test_quarters_nothing_points_to_are_mentioned_and_kept(folder: Path) -> None:
    with quarters_of(folder) as forgotten:
        pass
    (folder / "servers").unlink()

    with quarters_of(folder) as current:
        assert current.abandoned == (forgotten.path,)

    assert forgotten.path.is_dir()


@as_root
def test_quarters_that_are_gone_are_not_silently_made_anew(folder: Path) -> None:
    folder.mkdir()
    (folder / "servers").write_text("/nowhere/at/all\n")

    with pytest.raises(CannotStart, match="which is not there"):
        quarters_of(folder).__enter__()


@as_root
def test_root_leaves_the_data_of_a_normal_user_alone(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)

    with pytest.raises(CannotStart, match="was not made by root"):
        quarters_of(folder).__enter__()


def test_permissions_of_other_folders_stay_as_they_are(folder: Path) -> None:
    folder.parent.chmod(0o700)

    with embedded.running(folder, durable=False):
        pass

    assert folder.parent.stat().st_mode & 0o777 == 0o700
