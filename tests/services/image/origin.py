"""A web server of somebody's, from which images are imported, and which does what it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field


@dataclass
class Answer:
    """What it says to a request: `sent` of the body, and the rest once it may `go_on`, if it ever may.

    A body with an `etag` is given in part to who asks for the rest of that one; `askew` bytes too late.
    """

    body: bytes = b""
    status: int = 200
    location: str = ""
    sent: int | None = None
    go_on: asyncio.Event | None = None
    says_length: bool = True
    etag: str = ""
    askew: int = 0


@dataclass
class Origin:
    """Answers by path, one after the other, of which the last is for good; `asked` is what was asked for, and
    `parts` from which byte on.
    """

    port: int = 0
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)

    def uri(self, path: str, *answers: Answer, host: str = "127.0.0.1") -> str:
        """Where these answers are to be had."""
        self.answers[path] = list(answers)
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        # Who asked may go at any time.
        with closing(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            path, headers = request.split(" ")[1], dict(line.lower().split(": ") for line in lines if line)
            answers = self.answers[path]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            is_same = "range" in headers and headers.get("if-range") == answer.etag
            begin = int(headers["range"].removeprefix("bytes=").rstrip("-")) if is_same else 0
            self.asked.append(path)
            self.parts.append(begin)
            await _send(writer, answer, begin)


async def _send(writer: asyncio.StreamWriter, answer: Answer, begin: int) -> None:
    size = len(answer.body)
    head = [f"HTTP/1.1 {206 if begin else answer.status} Yes", "Connection: close"]
    head += [f"Content-Length: {size - begin}"] * answer.says_length
    head += [f"Content-Range: bytes {begin + answer.askew}-{size - 1}/{size}"] * bool(begin)
    head += [f"ETag: {answer.etag}"] * bool(answer.etag)
    head += [f"Location: {answer.location}"] * bool(answer.location)
    writer.write("\r\n".join([*head, "", ""]).encode())
    writer.write(answer.body[begin : answer.sent])
    await writer.drain()
    if answer.go_on is not None:
        await answer.go_on.wait()
        writer.write(answer.body[answer.sent or 0 :])
        await writer.drain()


@asynccontextmanager
async def origin() -> AsyncIterator[Origin]:
    """One on 127.0.0.1."""
    made = Origin()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        for answers in made.answers.values():
            for answer in answers:
                if answer.go_on is not None:
                    answer.go_on.set()
        server.close()
