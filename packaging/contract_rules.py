"""Holds the contracts to buf's rules, and to what has landed before.

    python packaging/contract_rules.py             buf lint, then buf breaking
    python packaging/contract_rules.py --landed    records the contracts as landed

The landed state is protos/landed.binpb, a descriptor set in the repository, and not a git reference: it is
there in every clone, shallow or without a remote, and however commits were merged. It moves when a change
has landed and others may depend on it; from then on nothing in it may break.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

import protos

LANDED = protos.SOURCES / "landed.binpb"
BUF = Path(sys.executable).parent / "buf"


def buf(*arguments: str | Path) -> bool:
    """Runs buf on weft's own files of an image; its findings go to the terminal."""
    options = ["--config", protos.ROOT / "buf.yaml", "--path", "weft"]
    return subprocess.run([BUF, *arguments, *options], check=False).returncode == 0


def record(image: Path) -> None:
    """Writes the landed state, without the source positions that every comment would change."""
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    for file in files.file:
        file.ClearField("source_code_info")
    LANDED.write_bytes(files.SerializeToString(deterministic=True))
    print(f"[rules] {LANDED.relative_to(protos.ROOT)} holds the contracts as they are: commit it")


def check(image: Path) -> bool:
    """True where the contracts keep every rule."""
    clean = buf("lint", image)
    print(f"[rules] buf lint: {'clean' if clean else 'see above'}", flush=True)
    if not LANDED.exists():
        print("[rules] buf breaking: skipped, nothing has landed yet (make protos-landed records it)")
        return clean
    kept = buf("breaking", image, "--against", LANDED)
    print(f"[rules] buf breaking: {'nothing that landed is broken' if kept else 'see above'}", flush=True)
    return clean and kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--landed", action="store_true", help="record the contracts as landed")
    landed = parser.parse_args().landed
    with tempfile.TemporaryDirectory() as scratch:
        image, validate_set = Path(scratch, "weft.binpb"), Path(scratch, "validate.binpb")
        protos.write_validate_set(validate_set)
        protos.write_image(image, validate_set)
        if landed:
            record(image)
        elif not check(image):
            sys.exit(1)


if __name__ == "__main__":
    main()
