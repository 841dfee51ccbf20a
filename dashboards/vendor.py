"""The front-end code that others wrote: which, in which version, and the proof that it is theirs.

    python -m dashboards.vendor --check      each file is what vendor.lock.json says (needs no network)
    python -m dashboards.vendor --verify     and what npm has under that name and version
    python -m dashboards.vendor --update     bring the files of WANTED, and write the lock anew

The files lie here byte for byte, so that a hub without internet shows the same page as one with it.
"""

import argparse
import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
LOCK = HOUSE / "dashboards/vendor.lock.json"
WEB = "dashboards/web/vendor"
TESTS = "tests/dashboards"
AGAIN = "Never edit it by hand: python -m dashboards.vendor --update"


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    files: dict[str, str]  # a path in npm's archive -> a path in the house


WANTED = (
    Package(
        "preact",
        "11.2.0",
        {
            "dist/preact.mjs": f"{WEB}/preact.js",
            "hooks/dist/hooks.mjs": f"{WEB}/preact-hooks.js",
            "LICENSE": f"{WEB}/LICENSE.preact",
        },
    ),
    Package(
        "@preact/signals",
        "2.11.4",
        {"dist/signals.module.js": f"{WEB}/signals.js", "LICENSE": f"{WEB}/LICENSE.signals"},
    ),
    Package(
        "@preact/signals-core",
        "1.14.5",
        {"dist/signals-core.module.js": f"{WEB}/signals-core.js", "LICENSE": f"{WEB}/LICENSE.signals-core"},
    ),
    Package("htm", "3.1.1", {"dist/htm.module.js": f"{WEB}/htm.js", "LICENSE": f"{WEB}/LICENSE.htm"}),
    Package(
        "uplot",
        "1.6.32",
        {
            "dist/uPlot.iife.min.js": f"{WEB}/uplot.js",
            "dist/uPlot.min.css": f"{WEB}/uplot.css",
            "LICENSE": f"{WEB}/LICENSE.uplot",
        },
    ),
    # For the tests only; it is not shipped.
    Package("axe-core", "4.14.1", {"axe.min.js": f"{TESTS}/axe.min.js", "LICENSE": f"{TESTS}/LICENSE.axe"}),
)


def check() -> Iterator[str]:
    """What is wrong with the files as they lie here."""
    locked = json.loads(LOCK.read_text("utf-8"))
    if [(it["package"], it["version"]) for it in locked] != [(it.name, it.version) for it in WANTED]:
        yield f"{_ours(LOCK)}: is not what WANTED in dashboards/vendor.py asks for. {AGAIN}"
    proofs = {file["file"]: file["sha256"] for it in locked for file in it["files"]}
    for path, proof in proofs.items():
        if not (HOUSE / path).is_file():
            yield f"{path}: is locked and not there. {AGAIN}"
        elif _sha256((HOUSE / path).read_bytes()) != proof:
            yield f"{path}: is not what was locked. {AGAIN}"
    for file in sorted((HOUSE / WEB).rglob("*")):
        if file.is_file() and _ours(file) not in proofs:
            yield f"{_ours(file)}: is in no lock. Take it away, or add it to WANTED in dashboards/vendor.py."


def verify() -> Iterator[str]:
    """What differs from npm's own archives; asks the network."""
    for it in json.loads(LOCK.read_text("utf-8")):
        archive = _fetch(it["package"], it["version"])
        if _sha512(archive) != it["sha512"]:
            yield f"{it['package']} {it['version']}: npm's archive is {_sha512(archive)}, locked was {it['sha512']}"
            continue
        theirs = _unpack(archive, [file["from"] for file in it["files"]])
        for file in it["files"]:
            if (HOUSE / file["file"]).read_bytes() != theirs[file["from"]]:
                yield f"{file['file']}: is not {file['from']} of {it['package']} {it['version']}. {AGAIN}"


def update() -> None:
    """Bring every file of WANTED, take away what is no longer wanted, write the lock."""
    shutil.rmtree(HOUSE / WEB, ignore_errors=True)
    locked = []
    for it in WANTED:
        archive = _fetch(it.name, it.version)
        files = []
        for origin, content in _unpack(archive, list(it.files)).items():
            target = HOUSE / it.files[origin]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            files.append({"from": origin, "file": _ours(target), "sha256": _sha256(content)})
        locked.append({"package": it.name, "version": it.version, "sha512": _sha512(archive), "files": files})
    LOCK.write_text(json.dumps(locked, indent=2) + "\n", "utf-8")


def _fetch(name: str, version: str) -> bytes:
    """npm's archive of a package, from whichever registry npm is set to; npm checks its own sha512."""
    with tempfile.TemporaryDirectory() as folder:
        ask = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, f"{name}@{version}"]
        try:
            subprocess.run(ask, check=True, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            sys.exit("npm is not installed, and --update and --verify fetch with it. --check needs neither.")
        except subprocess.CalledProcessError:
            sys.exit(f"npm could not bring {name} {version}: is there such a version, and is there a network?")
        (archive,) = Path(folder).iterdir()
        return archive.read_bytes()


def _unpack(archive: bytes, wanted: list[str]) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {
            path: file.read()
            for member in tar
            if (path := member.name.partition("/")[2]) in wanted and (file := tar.extractfile(member))
        }
    if gone := [path for path in wanted if path not in files]:
        sys.exit(f"npm's archive has no {', '.join(gone)}; mend WANTED in dashboards/vendor.py")
    return files


def _ours(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sha512(archive: bytes) -> str:
    """As npm writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dashboards.vendor", description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="each file is what the lock says (needs no network)")
    what.add_argument("--verify", action="store_true", help="each file is what npm has")
    what.add_argument("--update", action="store_true", help="bring the files and write the lock anew")
    asked = parser.parse_args()
    if asked.update:
        update()
    wrong = [*check(), *(verify() if asked.verify else [])]
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{LOCK.name}: {sum(len(it.files) for it in WANTED)} files of {len(WANTED)} packages are as they should be")


if __name__ == "__main__":
    main()
