"""The disk labelled config-2 that tells a guest about itself without a network."""

import subprocess
import tempfile
from pathlib import Path

from mesh.errors import CloudError
from node import metadata
from weft.node.v1.resources_pb2 import GuestSpec

LABEL = "config-2"


def write(spec: GuestSpec, target: Path) -> None:
    """An ISO 9660 image (with Joliet and Rock Ridge) of the guest's documents. Blocks; HYPERVISOR_FAILED."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        tree = Path(scratch, "tree")
        for name, body in metadata.files(spec).items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        command = ["xorriso", "-as", "genisoimage", "-quiet", "-J", "-r", "-V", LABEL, "-o"]
        command += [str(target), str(tree)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            message = "The config drive could not be made."
            raise CloudError("HYPERVISOR_FAILED", message, detail=result.stderr.strip()[-200:])
