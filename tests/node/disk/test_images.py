"""The host's cache of images."""

import asyncio
import hashlib
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from mesh.errors import CloudError
from node.disk.images import UNUSED_SECONDS, Wanted
from tests.node.conftest import Host
from tests.node.images import CHUNK, qcow2

CONTENT = os.urandom(10 * CHUNK + 17)


async def test_an_image_is_fetched_once_and_then_cached(host: Host) -> None:
    wanted = host.service.add(CONTENT)
    first = await host.images.stage(wanted)
    second = await host.images.stage(wanted)
    assert (first.cached, second.cached) == (False, True)
    assert first.virtual_size_bytes == len(CONTENT)
    path = host.images.locate(wanted.sha256)
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert len(host.service.offsets) == 1


async def test_those_who_want_it_at_the_same_time_share_one_fetch(host: Host) -> None:
    wanted = host.service.add(CONTENT)
    staged = await asyncio.gather(*(host.images.stage(wanted) for _ in range(20)))
    assert len(staged) == 20
    assert len(host.service.offsets) == 1


async def test_a_fetch_that_was_cut_goes_on_where_it_ended(host: Host) -> None:
    wanted = host.service.add(CONTENT)
    host.service.cut_after = 4
    await host.images.stage(wanted)
    assert host.service.offsets == [0, 4 * CHUNK]
    assert host.images.locate(wanted.sha256).read_bytes() == CONTENT


async def test_a_fetch_goes_on_after_the_agent_was_killed(host: Host) -> None:
    wanted = host.service.add(CONTENT)
    part = host.folder / "images" / f"{wanted.sha256}.part"
    part.write_bytes(CONTENT[: 3 * CHUNK])
    await host.images.stage(wanted)
    assert host.service.offsets == [3 * CHUNK]
    assert host.images.locate(wanted.sha256).read_bytes() == CONTENT


async def test_what_arrives_damaged_is_refused_and_fetched_anew(host: Host) -> None:
    wanted = host.service.add(CONTENT)
    host.service.corrupt(wanted)
    with pytest.raises(CloudError) as refused:
        await host.images.stage(wanted)
    assert refused.value.reason == "DIGEST_MISMATCH"
    assert list((host.folder / "images").iterdir()) == []
    host.service.add(CONTENT)
    assert not (await host.images.stage(wanted)).cached


async def test_an_unknown_image_is_not_found(host: Host) -> None:
    nobody = Wanted("5f0c1e86-1f06-4f7c-8a53-5d9a40b2a111", hashlib.sha256(b"?").hexdigest(), 1, "raw")
    with pytest.raises(CloudError) as missing:
        await host.images.stage(nobody)
    assert missing.value.reason == "NOT_FOUND"


async def test_a_qcow2_image_says_how_large_its_disk_is(host: Host, tmp_path: Path) -> None:
    wanted = host.service.add(qcow2(tmp_path, bytes(4 << 20)), "qcow2")
    assert (await host.images.stage(wanted)).virtual_size_bytes == 4 << 20


@pytest.fixture
def evil(tmp_path: Path) -> bytes:
    """An image that would show its guest another file of the host."""
    base, image = tmp_path / "base.raw", tmp_path / "evil.qcow2"
    base.write_bytes(bytes(1 << 20))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", image], check=True)
    return image.read_bytes()


async def test_an_image_that_refers_to_another_file_is_refused(host: Host, evil: bytes) -> None:
    wanted = host.service.add(evil, "qcow2")
    with pytest.raises(CloudError) as refused:
        await host.images.stage(wanted)
    assert refused.value.reason == "IMAGE_REFUSED"
    assert list((host.folder / "images").iterdir()) == []


async def test_only_images_that_nothing_needs_expire(host: Host) -> None:
    wanted = [host.service.add(CONTENT + bytes([n])) for n in range(3)]
    for each in wanted:
        await host.images.stage(each)
    needed, old, fresh = wanted
    long_ago = time.time() - UNUSED_SECONDS - 60
    for each in (needed, old):
        os.utime(host.images.locate(each.sha256), (long_ago, long_ago))
    assert host.images.expire({needed.sha256}) == [old.sha256]
    assert host.images.locate(needed.sha256).exists()
    assert host.images.locate(fresh.sha256).exists()
