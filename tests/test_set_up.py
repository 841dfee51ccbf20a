"""Setting up: locks that name no place, scripts that say what is missing, a wheel that carries all."""

import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HOUSE = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))
LOCKS = ("run", "test")
ROOMS = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
FAR_AWAY = re.compile(rb"unpkg\.com|jsdelivr|cdnjs|googleapis|gstatic|//cdn\.|esm\.sh|skypack")


@pytest.mark.parametrize("name", LOCKS)
def test_each_locked_package_has_one_version_and_its_hashes(name):
    entries = re.split(r"\n(?=[a-z0-9])", lock_text(name).strip())
    assert len(entries) > 10
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_does_not_say_where_packages_come_from(name):
    for word in ("index-url", "find-links", "trusted-host", "://", "file:", " @ "):
        assert word not in lock_text(name), f"requirements/{name}.txt has {word!r}: make it with `make lock`"


def test_the_locks_hold_what_pyproject_asks_for():
    asked = {"run": PROJECT["project"]["dependencies"], "test": PROJECT["project"]["optional-dependencies"]["test"]}
    for name, wishes in asked.items():
        have = versions(name)
        for wish in map(Requirement, wishes):
            assert wish.name in have, f"requirements/{name}.txt lacks {wish.name}: make lock"
            assert have[wish.name] in wish.specifier, f"requirements/{name}.txt has another {wish}: make lock"


def test_what_is_tested_is_what_is_installed():
    assert versions("run").items() <= versions("test").items()


def test_the_project_itself_is_installed_without_the_network():
    wish = Requirement(PROJECT["build-system"]["requires"][0])
    assert versions("run")[wish.name] in wish.specifier


PYTHONS = {
    "none": ("", "FieldHub needs Python 3.11 or newer and found none. On Debian: apt-get install python3 python3-venv"),
    "old": (
        'case $1 in -V) echo "Python 3.9.2" ;; *) exit 1 ;; esac',
        "FieldHub needs Python 3.11 or newer, and {python} is Python 3.9.2. "
        "Name another one: make PYTHON=python3.12 demo",
    ),
    "without venv": (
        'case $2 in *ensurepip*) echo "Traceback" >&2; exit 1 ;; esac',
        "{python} cannot make a virtual environment. On Debian: apt-get install python3-venv",
    ),
}


@pytest.mark.parametrize("kind", PYTHONS)
def test_a_python_that_will_not_do_is_named_in_one_sentence(kind, tmp_path):
    script, sentence = PYTHONS[kind]
    python = program(tmp_path / "python3", script) if script else ""
    it = run(["sh", "requirements/python_is_fit.sh", python])
    assert (it.returncode, it.stderr.strip()) == (1, sentence.format(python=python))


def test_this_python_will_do():
    it = run(["sh", "requirements/python_is_fit.sh", sys.executable])
    assert (it.returncode, it.stdout, it.stderr) == (0, "", "")


def test_missing_debian_packages_are_named_to_who_may_not_install_them(tmp_path):
    for name, script in {
        "apt-get": "exit 9",
        "dpkg-query": 'case "$*" in *gcc) printf "ii " ;; esac',
        "id": "echo 7",
    }.items():
        program(tmp_path / name, script)
    it = run(["/bin/sh", "tests/setup_debian.sh"], PATH=str(tmp_path))
    assert it.returncode == 1
    assert it.stderr.strip() == (
        "The tests need Debian packages. As root, run: "
        "apt-get install chromium fonts-noto-cjk mbpoll socat libmodbus-dev victoria-metrics"
    )


def test_a_machine_that_is_no_debian_is_told_which_programs_the_tests_use(tmp_path):
    program(tmp_path / "socat", "")
    it = run(["/bin/sh", "tests/setup_debian.sh"], PATH=str(tmp_path))
    assert it.returncode == 1
    assert it.stderr.strip() == (
        "The tests need these programs, and this is not a Debian that could be asked for them: "
        "chromium mbpoll gcc victoria-metrics"
    )


@pytest.mark.slow
def test_the_wheel_carries_the_rooms_byte_for_byte_and_reaches_for_nothing_far_away(tmp_path):
    ours = {path: sha256((HOUSE / path).read_bytes()) for path in tracked(*ROOMS)}
    build = run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)])
    assert build.returncode == 0, build.stderr
    (wheel,) = tmp_path.glob("fieldhub-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert {name: sha256(content) for name, content in carried.items()} == ours
    far = [name for name, content in carried.items() if FAR_AWAY.search(content)]
    assert far == [], "a machine room has no internet: vendor what these fetch (dashboards/vendor.py)"


def test_the_container_file_copies_what_is_there_and_runs_what_can_be_run():
    text = (HOUSE / "docs/Containerfile").read_text("utf-8")
    copied = [it for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M) for it in line.split()]
    assert set(ROOMS) <= set(copied)
    assert all((HOUSE / it).exists() for it in copied), copied
    assert "--require-hashes -r requirements/run.txt" in text
    assert re.search(r"^USER fieldhub$", text, re.M)
    known = set(re.findall(r"^    (\w+) ", run([sys.executable, "-m", "hub", "--help"], COLUMNS="100").stdout, re.M))
    said = text + (HOUSE / "docs/operations.md").read_text("utf-8")
    used = set(re.findall(r"bin/fieldhub (\w+)|`fieldhub (\w+)", said))
    assert {it for pair in used for it in pair if it} <= known, known


def lock_text(name: str) -> str:
    return (HOUSE / f"requirements/{name}.txt").read_text("utf-8")


def versions(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock_text(name), re.M))


def tracked(*folders: str) -> list[str]:
    ask = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    return [path for path in run(ask).stdout.split("\0") if path and (HOUSE / path).is_file()]


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=HOUSE, env=environment or None, capture_output=True, text=True, check=False)


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
