"""Log lines: one JSON object (or one line of text) each, with the trace that it belongs to."""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
from opentelemetry import trace

from mesh.settings import Settings

_service: ContextVar[str] = ContextVar("weft_service", default="")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def setup(settings: Settings) -> None:
    """Send the log of this process to its standard error, as [cloud] log and log_format say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if settings.cloud.log_format == "json" else Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.cloud.log.upper())
    for noisy in ("alembic", "asyncio", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def speak_for(service: str) -> None:
    """From here on (in this task), log lines are this service's."""
    _service.set(service)


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """What is known of a line beyond its text: `extra` keys, service, trace."""
    facts = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    if _service.get():
        facts["service"] = _service.get()
    found = trace.get_current_span().get_span_context()
    if found.is_valid:
        facts["trace_id"], facts["span_id"] = f"{found.trace_id:032x}", f"{found.span_id:016x}"
    return facts


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class Text(logging.Formatter):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        facts = "".join(f" {key}={value}" for key, value in _facts(record).items())
        line = f"{moment} {record.levelname.lower():7} {record.name}: {record.getMessage()}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
