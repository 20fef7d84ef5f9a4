"""A report is written whole or not at all, and a report that cannot be written is one sentence."""

import errno
import json
import os
import stat

import pytest

from pytest_sockets.reports import writing
from pytest_sockets.reports.run import Run

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")


@pytest.fixture
def run():
    return Run("0.1.0")


def test_each_suffix_gets_its_report(run, tmp_path):
    paths = [tmp_path / f"x.{suffix}" for suffix in ("json", "html", "md", "sarif")]
    assert writing.write_reports(run, paths) == []
    assert (tmp_path / "x.md").read_text().startswith("## No leaked socket was found")
    assert json.loads((tmp_path / "x.sarif").read_text())["version"] == "2.1.0"
    assert json.loads((tmp_path / "x.json").read_text())["schema"] == 2
    assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_that_is_gone_is_said_and_the_other_report_is_written(run, tmp_path):
    errors = writing.write_reports(run, [tmp_path / "gone" / "x.json", tmp_path / "x.json"])
    assert len(errors) == 1
    assert str(tmp_path / "gone" / "x.json") in errors[0]
    assert "its folder is gone" in errors[0]
    assert (tmp_path / "x.json").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_leaves_the_older_report_whole(run, tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("the older report")
    real_open = os.open

    def open_full(name, flags, mode=0o777):
        return real_open("/dev/full", os.O_WRONLY) if flags & os.O_CREAT else real_open(name, flags, mode)

    monkeypatch.setattr(writing.os, "open", open_full)
    [trouble] = writing.write_reports(run, [path])
    assert os.strerror(errno.ENOSPC) in trouble
    assert "make room" in trouble
    assert path.read_text() == "the older report"


def test_a_bug_in_a_renderer_is_said_and_not_raised(run, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_render", lambda *_: 1 / 0)
    [trouble] = writing.write_reports(run, [tmp_path / "x.json"])
    assert "ZeroDivisionError" in trouble
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_new_report_is_for_its_owner_only(run, tmp_path):
    writing.write_reports(run, [tmp_path / "x.json"])
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o600


@posix
def test_an_older_report_keeps_its_permissions(run, tmp_path):
    path = tmp_path / "x.json"
    path.touch()
    path.chmod(0o664)
    writing.write_reports(run, [path])
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    assert path.stat().st_size


@posix
def test_a_link_in_the_way_is_replaced_and_its_target_untouched(run, tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / "x.json").symlink_to(target)
    assert writing.write_reports(run, [tmp_path / "x.json"]) == []
    assert target.read_text() == "mine"
    assert not (tmp_path / "x.json").is_symlink()


def test_a_file_beside_which_nothing_may_be_made_is_written_in_place(run, tmp_path, monkeypatch):
    """A single file mounted into a container: its folder is read-only, replacing it is EBUSY."""
    path = tmp_path / "x.json"
    path.write_text("the older report" * 1000)

    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(writing, "_replace", refuse)
    assert writing.write_reports(run, [path]) == []
    assert json.loads(path.read_text())["schema"] == 2


def test_a_new_file_where_nothing_may_be_made_is_a_sentence(run, tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(writing, "_replace", refuse)
    [trouble] = writing.write_reports(run, [tmp_path / "x.json"])
    assert os.strerror(errno.EROFS) in trouble


@posix
@pytest.mark.parametrize("kind", ["fifo", "device", "link to a fifo"])
def test_a_device_or_pipe_is_never_replaced(run, tmp_path, kind):
    path = target = tmp_path / "x.json"
    if kind == "link to a fifo":
        target = tmp_path / "pipe"
        path.symlink_to(target)
    if kind == "device":
        try:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes device nodes")
    else:
        os.mkfifo(target)
    before = os.lstat(path)
    [trouble] = writing.write_reports(run, [path])
    assert "there is a device, pipe, socket or directory of that name" in trouble
    assert os.lstat(path) == before
