"""A servicer that answers nothing while its agent is not taken for the host."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from node.admission import Admission


class Gate:
    """In front of a servicer: it has all its methods."""

    def __init__(self, servicer: Any, admission: Admission) -> None:
        self._servicer, self._admission = servicer, admission

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._servicer, name)
        return self._streaming(method) if inspect.isasyncgenfunction(method) else self._answering(method)

    def _answering(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def answer(request: Any, context: Any) -> Any:
            self._admission.require()
            return await method(request, context)

        return answer

    def _streaming(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def answers(request: Any, context: Any) -> AsyncIterator[Any]:
            self._admission.require()
            async for each in method(request, context):
                yield each

        return answers
