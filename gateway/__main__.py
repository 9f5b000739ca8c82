"""The gateway's process: Envoy at the edge, the pages behind it."""

import asyncio
import logging
import signal

import uvicorn

from gateway.edge.process import Edge
from gateway.pages.app import application
from mesh import process
from mesh.certificates import Authority, Identity
from mesh.settings import Settings

_log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Run both until the process is told to stop, or until one of them ends by itself."""
    authority = Authority.open_or_create(settings.state / "pki", settings.cloud.name)
    host, _, port = settings.gateway.dialects.rpartition(":")
    pages = uvicorn.Server(
        uvicorn.Config(
            application(settings, authority), host=host, port=int(port), log_config=None, access_log=False
        )
    )
    pages.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    edge = Edge(settings, authority.issue(Identity.gateway()), authority)
    jobs = [asyncio.create_task(job) for job in (pages._serve(), edge.run(), stop.wait())]
    process.spare_the_collector()
    done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    _log.info("draining")
    pages.should_exit = True
    for job in jobs[1:]:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    for job in done:
        job.result()


if __name__ == "__main__":
    process.run(serve)
