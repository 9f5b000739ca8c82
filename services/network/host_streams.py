"""Streams of hosts' states: an idle host costs nothing, a change wakes those whose state depends on it.

Every change appends an event in its own transaction. The events, also those of other replicas, are followed
once for the process; an index from ids to streams says who has to look again. Whoever is awake then reads
the newest rows, together with everybody else who waits at that moment, and sends what differs from what it
sent last: however many changes came meanwhile, they are one message. Where these are of single ports, only
their rows are read.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from itertools import takewhile

from mesh import ids, outbox, watch
from mesh.database import Database
from mesh.errors import CloudError
from mesh.watch import Event
from services.network import event_keys, host_state
from services.network.event_keys import Keys
from services.network.port_news import News, PortNews
from services.network.small_changes import Few, Picture
from services.network.state_changes import Sent
from services.network.store import topology as topology_store
from services.network.topology import Topology
from weft.network.v1.host_state_pb2 import HostState

# As many hosts as one snapshot is read for.
_TOGETHER = 64
# Events kept to be held against what a state that was being read meanwhile turns out to depend on.
_RECENT = 4096
_log = logging.getLogger(__name__)


class Stream:
    """One host's stream."""

    def __init__(self, host_id: str, confirms: bool = False) -> None:
        self.id = ids.new()
        self.host_id, self.confirms = host_id, confirms
        self.depends: frozenset[str] = frozenset()
        self.changed = asyncio.Event()
        self.picture: Picture | None = None
        self._whole, self._news = True, dict[str, News]()
        self.changed.set()

    def look(self) -> None:
        """Anything may have changed."""
        self._whole = True
        self.changed.set()

    def hear(self, news: News) -> None:
        """A port has changed."""
        self._whole = self._whole or not news.is_near(self.host_id)
        self._news[news.port_id] = news.after(self._news.get(news.port_id))
        self.changed.set()

    def take(self) -> list[News] | None:
        """What was heard since the last time; None when nothing less than everything tells what changed."""
        whole, news = self._whole or self.picture is None, list(self._news.values())
        self._whole, self._news = False, {}
        return None if whole else news


class HostStreams:
    """All streams of this process. `run` follows the events and must be running."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._streams: set[Stream] = set()
        self._by_id: defaultdict[str, set[Stream]] = defaultdict(set)
        self._recent: deque[tuple[int, Keys]] = deque(maxlen=_RECENT)
        self._port_news = PortNews()
        self._waiting: dict[Stream, asyncio.Future[HostState]] = {}
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Follow the events and read states, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._read())

    def open(self, host_id: str, confirms: bool = False) -> Stream:
        """A stream that is told of changes from now on; of a host that says what it has of them or not."""
        stream = Stream(host_id, confirms)
        self._streams.add(stream)
        self._by_id[host_id].add(stream)
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream."""
        self._streams.discard(stream)
        for key in (*stream.depends, stream.host_id):
            self._unlist(key, stream)
        waiting = self._waiting.pop(stream, None)
        if waiting:
            waiting.cancel()

    async def states(self, stream: Stream) -> AsyncIterator[HostState]:
        """All of the host's state, then each change, for ever."""
        sent = Sent()
        while True:
            await stream.changed.wait()
            stream.changed.clear()
            changes = sent.next(await self._state(stream))
            if changes is not None:
                yield changes

    async def _state(self, stream: Stream) -> HostState:
        future = self._waiting[stream] = asyncio.get_running_loop().create_future()
        self._asked.set()
        return await future

    async def _follow(self) -> None:
        while True:
            revision = await self._database.peek(outbox.latest)
            self._recent.clear()
            self._port_news.forget()
            # What was committed before we follow is not told: everybody looks once.
            for stream in self._streams:
                stream.look()
            try:
                async for event in watch.stream(self._database, "", revision, None):
                    self._tell(event)
            except CloudError as error:
                _log.warning("hosts' states are compared anew: %s", error.message)

    def _tell(self, event: Event) -> None:
        news = None
        if event.resource_type == "port":
            news = self._port_news.of(event)
            if news is None:
                return
        self._heard(event.revision, event_keys.of(event), news)

    def _heard(self, revision: int, keys: Keys, news: News | None = None) -> None:
        self._recent.append((revision, keys))
        for key in (*keys.hosts, *keys.ids):  # whoever has the port before those who only know of it
            for stream in self._by_id.get(key, ()):
                stream.hear(news) if news else stream.look()

    async def _read(self) -> None:
        while True:
            if not self._waiting:
                self._asked.clear()
                await self._asked.wait()
            await self._answer(list(self._waiting)[:_TOGETHER])

    async def _answer(self, streams: list[Stream]) -> None:
        try:
            looking = await self._answer_few(streams)
            if looking:
                host_ids = {stream.host_id for stream in looking}
                await self._hand_out(looking, await self._database.read(topology_store.load, host_ids))
        except Exception as error:  # noqa: BLE001 - it is raised where the states were asked for
            self._fail(streams, error)

    async def _answer_few(self, streams: list[Stream]) -> list[Stream]:
        """Answer those of whose hosts only single ports have changed; the others."""
        told = {stream: stream.take() for stream in streams}
        heard = {stream: news for stream, news in told.items() if news}
        ports = {each.port_id for news in heard.values() for each in news}
        groups = {id for stream, news in heard.items() for id in stream.picture.groups_to_read(news)}
        few = await self._database.read(topology_store.few, ports, groups) if heard else Few(0)
        looking = []
        for stream, news in told.items():
            state = None if news is None else stream.picture.after(news, few, stream.host_id)
            if state is None:
                looking.append(stream)
            else:
                await self._give(stream, state)
        return looking

    async def _hand_out(self, streams: list[Stream], topology: Topology) -> None:
        for stream in streams:
            if stream in self._waiting:
                state = host_state.of(topology, stream.host_id, asked=stream.confirms)
                stream.picture = Picture(state)
                self._depend(stream, frozenset(host_state.depends(topology, stream.host_id)))
                self._look_back(stream, topology.revision)
                await self._give(stream, state)

    async def _give(self, stream: Stream, state: HostState) -> None:
        future = self._waiting.pop(stream, None)
        if future and not future.done():
            future.set_result(state)
        await asyncio.sleep(0)  # it is sent, and other calls are served, before the next one is made

    def _fail(self, streams: list[Stream], error: Exception) -> None:
        """The hosts' streams break, and the hosts ask again."""
        for stream in streams:
            future = self._waiting.pop(stream, None)
            if future and not future.done():
                future.set_exception(error)

    def _depend(self, stream: Stream, depends: frozenset[str]) -> None:
        for key in stream.depends - depends:
            self._unlist(key, stream)
        for key in depends - stream.depends:
            self._by_id[key].add(stream)
        stream.depends = depends

    def _look_back(self, stream: Stream, revision: int) -> None:
        """Events that came while the state was read: of what it newly depends on, nobody woke it."""
        newer = [keys for _, keys in takewhile(lambda heard: heard[0] > revision, reversed(self._recent))]
        lost = len(self._recent) == _RECENT and self._recent[0][0] > revision + 1
        if lost or any(keys.ids & stream.depends for keys in newer):
            stream.look()

    def _unlist(self, key: str, stream: Stream) -> None:
        listed = self._by_id.get(key)
        if listed is not None:
            listed.discard(stream)
            if not listed:
                del self._by_id[key]
