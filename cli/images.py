"""`weft image upload` and `download`: contents, with a progress bar."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from cli import show
from cli.contract import contracts
from cli.session import Session

if TYPE_CHECKING:
    from weft.image.v1 import image_service_pb2 as pb

CHUNK = 1 << 20
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
            return await calls.stub(client, verbs["upload"])(chunks(image.id, file))
        except CloudError:
            # What has no content is of no use; the error that matters is the one at hand.
            await calls.call(client, verbs["delete"], {"id": image.id, "allow_missing": True})
            raise


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


async def chunks(image_id: str, file: Path) -> "AsyncIterator[pb.UploadImageRequest]":
    """The content of a file as messages of UploadImage, with progress."""
    from google.api.httpbody_pb2 import HttpBody

    from weft.image.v1 import image_service_pb2 as pb

    size = (await asyncio.to_thread(file.stat)).st_size
    with file.open("rb") as opened, progress(file.name, size) as bar:
        yield pb.UploadImageRequest(id=image_id)
        while data := await asyncio.to_thread(opened.read, CHUNK):
            yield pb.UploadImageRequest(file=HttpBody(data=data))
            bar.update(len(data))


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
        if str(file) == "-":
            await _receive(client, record, sys.stdout.buffer)
            return
        path = file or Path(record.name or id)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as out:
            await _receive(client, record, out)
        part.replace(path)
        click.echo(path)


async def _receive(client: Any, record: Any, out: IO[bytes]) -> None:
    from cli import calls
    from mesh.errors import CloudError

    verb = contracts().verbs["image"]["download"]
    digest = hashlib.sha256()
    with progress(record.name, record.size_bytes) as bar:
        async for part in calls.stub(client, verb)(calls.request(verb, {"id": record.id})):
            out.write(part.data)
            digest.update(part.data)
            bar.update(len(part.data))
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
