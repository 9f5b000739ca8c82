"""`weft image upload` and `download`: contents, with a progress bar."""

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from cli import show
from cli.contract import contracts
from cli.session import Session

if TYPE_CHECKING:
    from cli.contents import Contents
    from weft.image.v1 import resources_pb2 as pb

_FORMATS = {".qcow2": "QCOW2", ".iso": "ISO"}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Its name; that of the file by default.")
@click.option("--format", "disk_format", type=click.Choice(["RAW", "QCOW2", "ISO"], case_sensitive=False),
              help="Layout of the content; by the file's ending when left out.")  # fmt: skip
@click.option("--visibility", type=click.Choice(["PRIVATE", "SHARED", "PUBLIC"], case_sensitive=False))
@click.option("--min-disk-gib", type=int, default=0, help="Least root disk for it.")
@click.option("--min-memory-mib", type=int, default=0, help="Least memory for it.")
@click.option("--tag", "tags", multiple=True, help="A label (several times).")
@show.output
@show.columns
@click.pass_obj
def upload(session: Session, file: Path, output: str, columns: str | None, **said: Any) -> None:
    """Create an image and send its content. Its digest is checked on the other side."""
    said["name"] = said["name"] or file.stem
    said["disk_format"] = said["disk_format"] or _FORMATS.get(file.suffix, "RAW")
    show.one(asyncio.run(_upload(session, file, said)), output, columns)


async def _upload(session: Session, file: Path, said: dict[str, Any]) -> Any:
    from cli import calls
    from mesh.errors import CloudError

    verbs = contracts().verbs["image"]
    for name, prefix in (("disk_format", "DISK_FORMAT_"), ("visibility", "VISIBILITY_")):
        said[name] = prefix + said[name].upper() if said[name] else None
    digest = await asyncio.to_thread(_digest, file)
    values = {name: value for name, value in said.items() if value} | {"sha256": digest}
    async with session.client() as client:
        image: Any = await calls.call(client, verbs["create"], values)
        try:
            return await asyncio.to_thread(_send, contents(session, client), image.id, file)
        except CloudError:
            # What has no content is of no use; the error that matters is the one at hand.
            await calls.call(client, verbs["delete"], {"id": image.id, "allow_missing": True})
            raise


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _send(to: "Contents", image_id: str, file: Path) -> "pb.Image":
    from google.protobuf import json_format

    from weft.image.v1 import resources_pb2 as pb

    with file.open("rb") as opened, progress(file.name, file.stat().st_size) as bar:
        return json_format.ParseDict(to.put(image_id, opened, bar.update), pb.Image())


def contents(session: Session, client: Any) -> "Contents":
    """The way of contents to the cloud that the client is connected with, as the same one."""
    from cli.contents import Contents

    cloud = session.resolved()
    return Contents(cloud.endpoint, cloud.ca, client.token or "")


@click.command()
@click.argument("image")
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="Where to; - is standard output."
)
@click.pass_obj
def download(session: Session, image: str, file: Path | None) -> None:
    """Fetch an image's content, by its name or id, and check its digest."""
    asyncio.run(_download(session, image, file))


async def _download(session: Session, image: str, file: Path | None) -> None:
    from cli import calls
    from cli.resolve import find

    async with session.client() as client:
        id = await find(client, contracts(), "image", image)
        record: Any = await calls.call(client, contracts().verbs["image"]["show"], {"id": id})
        of = contents(session, client)
        if str(file) == "-":
            await asyncio.to_thread(_receive, of, record, sys.stdout.buffer)
            return
        path = file or Path(record.name or id)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as out:
            await asyncio.to_thread(_receive, of, record, out)
        part.replace(path)
        click.echo(path)


def _receive(of: "Contents", record: Any, out: IO[bytes]) -> None:
    from mesh.errors import CloudError

    digest = hashlib.sha256()

    def take(piece: memoryview) -> None:
        out.write(piece)
        digest.update(piece)
        bar.update(len(piece))

    with progress(record.name, record.size_bytes) as bar:
        of.get(record.id, record.size_bytes, take)
    if record.sha256 and digest.hexdigest() != record.sha256:
        raise CloudError(
            "DIGEST_MISMATCH", f"What arrived of image {record.id} is not what it says: try again.",
            algorithm="sha256", expected=record.sha256, actual=digest.hexdigest(),
        )  # fmt: skip


def progress(label: str, size: int) -> Any:
    """A bar on standard error; nothing is shown where that is no terminal."""
    return click.progressbar(
        length=size, label=label, file=sys.stderr, show_pos=True, hidden=not sys.stderr.isatty()
    )
