"""Makes everything in generated/ from protos/: stubs, type stubs, descriptor set, OpenAPI document.

    python packaging/protos.py           write generated/
    python packaging/protos.py --check   fail where generated/ is not what protos/ gives

Third-party protos (google/api, google/rpc, buf/validate) come from the installed packages.
"""

import argparse
import filecmp
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import google.api
import grpc_tools
from google.protobuf import descriptor_pb2

import descriptors

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"
GENERATED = ROOT / "generated"
VALIDATE = "buf/validate/validate.proto"
# What errors are made of: no contract imports it, but the edge and clients must know it to read them.
ERRORS = ("google/rpc/error_details.proto", "google/rpc/status.proto")
# grpcio-tools brings google/protobuf, googleapis-common-protos the rest of google/.
INCLUDES = (
    SOURCES,
    Path(google.api.__path__[0]).parent.parent,
    Path(grpc_tools.__file__).parent / "_proto",
)


def write_validate_set(path: Path) -> None:
    """Writes the descriptor of validate.proto, which no package ships as text; protovalidate carries it."""
    from protovalidate._gen.buf.validate import validate_pb

    own = descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    path.write_bytes(descriptor_pb2.FileDescriptorSet(file=[own]).SerializeToString(deterministic=True))


def protoc(validate_set: Path, files: list[str], *outputs: str) -> None:
    """Runs protoc; exits with its own words where a proto is wrong."""
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin={name}={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    includes = [f"-I{folder}" for folder in INCLUDES]
    command = [sys.executable, "-m", "grpc_tools.protoc", *includes, f"--descriptor_set_in={validate_set}"]
    done = subprocess.run([*command, *plugins, *outputs, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"[protos] {done.stderr.strip()}")


def ours() -> list[str]:
    """Every contract, named as the others import it."""
    return sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.proto"))


def write_image(path: Path, validate_set: Path) -> None:
    """Writes all contracts and what they import as one descriptor set, with every source position."""
    outputs = ("--include_imports", "--include_source_info", f"--descriptor_set_out={path}")
    protoc(validate_set, [*ours(), *ERRORS], *outputs)


def generate(target: Path) -> int:
    """Fills an empty folder; returns how many contracts there are."""
    files = ours()
    services = [name for name in files if "\nservice " in (SOURCES / name).read_text()]
    with tempfile.TemporaryDirectory() as scratch:
        validate_set, image = Path(scratch, "validate.binpb"), Path(scratch, "weft.binpb")
        write_validate_set(validate_set)
        protoc(validate_set, [*files, VALIDATE], f"--python_out={target}", f"--mypy_out=quiet:{target}")
        protoc(validate_set, services, f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}")
        write_image(image, validate_set)
        slim = descriptors.with_comments_only(descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()))
    (target / "weft.binpb").write_bytes(slim.SerializeToString(deterministic=True))
    write_openapi(target)
    return len(files)


def write_openapi(target: Path) -> None:
    """Adds the OpenAPI document; the options in the descriptors are read by the stubs just made."""
    sys.path.insert(0, str(target))
    import openapi

    document = openapi.document(descriptors.load(target / "weft.binpb"))
    (target / "openapi.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def contents(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def replace(fresh: Path) -> None:
    """Makes generated/ equal to a fresh folder, writing only what differs and removing what is stale."""
    for name in sorted(contents(fresh)):
        source, target = fresh / name, GENERATED / name
        if target.exists() and filecmp.cmp(source, target, shallow=False):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for name in sorted(contents(GENERATED) - contents(fresh)):
        (GENERATED / name).unlink()
        print(f"[protos] removed generated/{name}: no contract makes it any more")
    for folder in sorted((path for path in GENERATED.rglob("*") if path.is_dir()), reverse=True):
        if not contents(folder):
            shutil.rmtree(folder)


def stale(fresh: Path) -> list[str]:
    """Names the files of generated/ that are missing, left over or different."""
    names = contents(fresh) | contents(GENERATED)
    _, different, unreadable = filecmp.cmpfiles(fresh, GENERATED, names, shallow=False)
    return sorted(different + unreadable)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail where generated/ is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        count = generate(fresh)
        if not check:
            replace(fresh)
            print(f"[protos] generated/ made from {count} contracts")
        elif names := stale(fresh):
            listed = "\n  ".join(names[:20]) + (f"\n  and {len(names) - 20} more" if len(names) > 20 else "")
            sys.exit(f"[protos] generated/ is stale: run `make protos` and commit it.\n  {listed}")
        else:
            print(f"[protos] generated/ is what {count} contracts give")


if __name__ == "__main__":
    main()
