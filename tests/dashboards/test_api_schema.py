"""schemathesis over the whole OpenAPI document, in three roles: no 500, no answer that the document does not say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dashboards.county import COUNTY, county
from tests.dashboards.test_api_table import BOTH, DemoDesk

# What would end the session that asks, or never ends.
LEFT_OUT = ("--exclude-path", "/api/v1/stream", "--exclude-path", "/api/v1/session", "--exclude-path",
            "/api/v1/session/password", "--exclude-path-regex", "sessions")  # fmt: skip
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 2  # of each operation, besides those that its coverage asks for


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "phases"),
    [
        ("field_engineer", "examples,coverage,fuzzing"),
        (BOTH, "examples,coverage,fuzzing"),
        (f"water_operator@{COUNTY[1].code}+auditor", "examples,fuzzing"),
    ],
)
async def test_whatever_is_asked_the_document_has_said_how_it_is_answered(tmp_path: Path, role: str, phases: str):
    async with county(tmp_path / "site", 2, demo=DemoDesk()) as here, here.browser(role) as browser:
        here.raise_alarm("ps-chengdong-1", "a", 3)
        command = [
            Path(sys.executable).with_name("schemathesis"), "run", f"{here.url}/api/v1/openapi.json",
            "-H", f"Cookie: fieldhub={browser.cookies['fieldhub']}",
            "-H", f"X-CSRF-Token: {browser.headers['X-CSRF-Token']}",
            *LEFT_OUT, "--phases", phases, "-n", EXAMPLES, "-c", CHECKS,
            "--continue-on-failure", "--no-color", "--generation-database", "none", "--seed", "20261127",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path
        )
        async with asyncio.timeout(240):
            said, _ = await process.communicate()
        text = said.decode("utf-8", "replace")
        assert process.returncode == 0, text[-6_000:]
        assert "Tested: " in text
        assert (await browser.get("/api/v1/session")).status_code == 200, "and the session is as good as it was"
