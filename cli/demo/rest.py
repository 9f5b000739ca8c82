"""The REST half: plain HTTP and JSON, as any tool without gRPC would do it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from cli.demo.stage import Failed, Stage
from cli.images import progress

Json = dict[str, Any]
_PIECE = 1 << 20


class Rest:
    """A client of the gateway's REST API. Every failure is problem details, told as Failed."""

    def __init__(self, endpoint: str, ca: Path) -> None:
        trust = ssl.create_default_context(cafile=str(ca))
        self._http = httpx.AsyncClient(base_url=f"https://{endpoint}", verify=trust, timeout=60)

    async def login(self, user: str, password: str) -> str:
        """Log in to the user's own project, for all calls from then on. Answers the token."""
        said = {"password": {"user_name": user, "password": password}}
        answer = await self._json("POST", "/identity/v1/tokens", said)
        self._http.headers["authorization"] = f"Bearer {answer['token']}"
        return answer["token"]

    async def get(self, path: str) -> Json:
        """Read."""
        return await self._json("GET", path, None)

    async def post(self, path: str, body: Json) -> Json:
        """Create, or do."""
        return await self._json("POST", path, body)

    async def delete(self, path: str) -> Json:
        """Delete."""
        return await self._json("DELETE", path, None)

    async def upload(self, path: str, file: Path) -> Json:
        """`PUT` a file's bytes as they are, with progress."""

        size = (await asyncio.to_thread(file.stat)).st_size

        async def content() -> AsyncIterator[bytes]:
            with progress(file.name, size) as bar, file.open("rb") as opened:
                while data := await asyncio.to_thread(opened.read, _PIECE):
                    yield data
                    bar.update(len(data))

        headers = {"content-type": "application/octet-stream"}
        return _checked(await self._http.put(path, content=content(), headers=headers))

    async def follow(self, path: str, stage: Stage) -> Json:
        """Follow an operation's watch, newline-delimited JSON, and say each step as it is done."""
        said: set[str] = set()
        operation: Json = {}
        async with self._http.stream("GET", path, timeout=None) as answer:
            if answer.status_code != 200:
                await answer.aread()
                _checked(answer)
            async for line in answer.aiter_lines():
                if line.strip():
                    operation = json.loads(line)
                    _say_steps(operation, said, stage)
        if operation.get("state") != "OPERATION_STATE_SUCCEEDED":
            error = operation.get("error") or {}
            raise Failed(f"{path}: {operation.get('state')}: {error.get('reason')}: {error.get('message')}")
        return operation

    async def _json(self, method: str, path: str, body: Json | None) -> Json:
        return _checked(await self._http.request(method, path, json=body))

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()


def _say_steps(operation: Json, said: set[str], stage: Stage) -> None:
    for step in operation.get("steps", []):
        if step["state"] == "STEP_STATE_DONE" and step["name"] not in said:
            said.add(step["name"])
            stage.say(f"  · {step['name']}")


def _checked(answer: httpx.Response) -> Json:
    if answer.is_success:
        return answer.json() if answer.content else {}
    try:
        problem = answer.json()
    except ValueError:
        problem = {"detail": answer.text[:200]}
    raise Failed(
        f"{answer.request.method} {answer.request.url.path}: {answer.status_code} "
        f"{problem.get('reason', '')}: {problem.get('detail', '')} (trace {problem.get('trace_id', '?')})"
    )
