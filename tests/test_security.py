"""docs/security.md tells the truth: every test that it names is there."""

import re
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"`(test_\w+)`")


def test_every_test_that_the_threat_model_names_is_there():
    named = set(NAMED.findall((HOUSE / "docs" / "security.md").read_text("utf-8")))
    written = {
        name
        for path in (HOUSE / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 10
    assert named - written == set()


def test_every_threat_has_a_test():
    for line in (HOUSE / "docs" / "security.md").read_text("utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| threat"):
            assert NAMED.search(line.rpartition("|")[0].rpartition("|")[2]), f"no test holds this: {line}"


def test_bandit_finds_nothing_that_is_not_answered_where_it_stands():
    rooms = ("hub", "drivers", "protocols", "rules", "dashboards")
    command = [sys.executable, "-m", "bandit", "-q", "-r", *rooms, "-ll"]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for room in rooms:
        for path in (HOUSE / room).rglob("*.py"):
            for line in path.read_text("utf-8").splitlines():
                assert "nosec" not in line or re.search(r"# nosec B\d{3}\b", line), f"{path.name}: say which"
