"""The example clients, each in its own language, boot a server by the contracts alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.clouds import ROOT, Cloud

CLIENTS = ROOT / "examples" / "clients"
BUILT = {
    "python": [sys.executable, str(CLIENTS / "python" / "boot.py")],
    "typescript": ["node", str(CLIENTS / "typescript" / "build" / "boot.js")],
    "cpp": [str(CLIENTS / "cpp" / "build" / "boot")],
}


def build(language: str) -> None:
    if (CLIENTS / language / "Makefile").exists():
        done = subprocess.run(
            ["make", "-s", "-j2", "-C", str(CLIENTS / language)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def run(cloud: Cloud, language: str, token: str, *words: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {
        "WEFT_ENDPOINT": cloud.layout.endpoint,
        "WEFT_CA": str(cloud.layout.ca),
        "WEFT_TOKEN": token,
        "PYTHONPATH": str(ROOT / "generated"),
    }
    return subprocess.run(
        [*BUILT[language], *words], env=environ, capture_output=True, text=True, check=False, timeout=180
    )


@pytest.mark.parametrize("language", BUILT)
async def test_a_client_boots_a_server_and_says_why_when_it_cannot(two_hosts: Cloud, language: str) -> None:
    build(language)
    async with two_hosts.person(f"client-{language}") as person:
        await person.network("10.6.0.0/24", "client-net")
        await person.image("client-image")
        done = run(two_hosts, language, person.token, "first", "client-image", "tiny", "client-net")
        assert done.returncode == 0, done.stderr + done.stdout
        for step in ("claim host", "start guest", "deleted"):
            assert step in done.stdout
        assert "addresses 10.6.0." in done.stdout
        wrong = run(two_hosts, language, "not.a.token", "first", "client-image", "tiny", "client-net")
        assert wrong.returncode == 1
        assert "UNAUTHENTICATED" in wrong.stderr
        missing = run(two_hosts, language, person.token, "first", "no-image", "tiny", "client-net")
        assert missing.returncode == 1
        assert "there are 0 images of that name" in missing.stderr


def test_stubs_are_made_from_the_descriptor_set_alone() -> None:
    for makefile in CLIENTS.glob("*/Makefile"):
        assert "--descriptor_set_in" in Path(makefile).read_text()
