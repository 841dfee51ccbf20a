"""docs/security.md tells the truth: every test that it names is there."""

import re
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
