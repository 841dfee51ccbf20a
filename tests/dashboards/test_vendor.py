"""The vendored front end: every file is the one that was locked, and none came in by another door."""

import shutil

import pytest

from dashboards import vendor


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A house of its own with the vendored files, to do harm to."""
    for folder in (vendor.WEB, vendor.TESTS):
        shutil.copytree(vendor.HOUSE / folder, tmp_path / folder)
    shutil.copy(vendor.LOCK, tmp_path / "dashboards")
    monkeypatch.setattr(vendor, "HOUSE", tmp_path)
    monkeypatch.setattr(vendor, "LOCK", tmp_path / "dashboards/vendor.lock.json")
    return tmp_path


def test_the_vendored_files_are_what_was_locked():
    assert list(vendor.check()) == []


def test_one_added_comment_is_seen(copy):
    with (copy / "dashboards/web/vendor/htm.js").open("a") as file:
        file.write("// quick fix\n")
    assert list(vendor.check()) == [
        "dashboards/web/vendor/htm.js: is not what was locked. "
        "Never edit it by hand: python -m dashboards.vendor --update"
    ]


def test_a_file_that_nobody_locked_is_seen(copy):
    (copy / "dashboards/web/vendor/jquery.js").write_text("")
    assert list(vendor.check()) == [
        "dashboards/web/vendor/jquery.js: is in no lock. Take it away, or add it to WANTED in dashboards/vendor.py."
    ]


def test_a_missing_licence_is_seen(copy):
    (copy / "dashboards/web/vendor/LICENSE.uplot").unlink()
    assert [finding.split(":")[0] for finding in vendor.check()] == ["dashboards/web/vendor/LICENSE.uplot"]


def test_every_package_brings_its_licence():
    for package in vendor.WANTED:
        assert any("/LICENSE." in path for path in package.files.values()), package.name
