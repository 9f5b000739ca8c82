"""Every error that leaves the edge by HTTP is problem details (RFC 9457).

A service writes the problem as JSON in ASCII into the trailer `weft-problem` beside its gRPC status. The
inner script, next to the router, keeps it when the trailers pass; the outer one, which sees what the
transcoder made of the call, puts it in place of the body, and its status in place of the one that the
transcoder derives from the gRPC code alone. Where gRPC itself ended a call, its deadline over before the
service said so, no service has written any: the outer script makes one of the status. Callers of gRPC itself
get their status untouched.
"""

from typing import Any

CONTENT_TYPE = "application/problem+json"

# What a reply of Envoy's own means: no route, a body that is no JSON, an encoding that nobody knows, a
# service that does not answer.
_REASONS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    405: "UNSUPPORTED",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    499: "CANCELLED",
    501: "UNSUPPORTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

INNER = """
local function keep(handle, headers)
  if not headers then return end
  local kept = handle:streamInfo():dynamicMetadata()
  local problem = headers:get("weft-problem")
  if problem then
    kept:set("weft", "problem", problem)
    headers:remove("weft-problem")
  end
  if headers:get("grpc-status") then
    kept:set("weft", "message", headers:get("grpc-message") or "")
  end
end

function envoy_on_response(handle)
  keep(handle, handle:headers())
  if handle:headers():get("content-type") == "application/grpc" then
    keep(handle, handle:trailers())
  end
end
"""

_TABLE = ", ".join(f'["{status}"] = "{reason}"' for status, reason in _REASONS.items())
OUTER = (
    f"local reasons = {{{_TABLE}}}\n"
    """
local function made(headers, message)
  local status = headers:get(":status")
  local reason = reasons[status] or "INTERNAL"
  local words = string.gsub(string.lower(reason), "_", " ")
  local title = string.gsub(words, "^%l", string.upper)
  local said = string.gsub(message, "[^%w .,:;-]", " ")
  return string.format(
    '{"type": "urn:weft:error:%s", "title": "%s", "status": %s, "detail": "%s", ' ..
    '"reason": "%s", "trace_id": "%s"}',
    string.gsub(words, " ", "-"), title, status, said ~= "" and said or title, reason,
    headers:get("x-trace-id") or "")
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type") or ""
  if string.sub(kind, 1, 16) == "application/grpc" then return end
  if tonumber(headers:get(":status")) < 400 then return end
  local kept = handle:streamInfo():dynamicMetadata():get("weft")
  if not kept then return end
  local problem = kept.problem or kept.message and made(headers, kept.message)
  if not problem then return end
  headers:replace("content-type", "application/problem+json")
  local status = string.match(problem, '"status": (%d+)')
  if status then headers:replace(":status", status) end
  handle:body(true):setBytes(problem)
end
"""
)


def local_replies() -> dict[str, Any]:
    """How Envoy writes replies of its own."""
    return {
        "mappers": [
            {"filter": _status_is(status), "body_format_override": _format(reason)}
            for status, reason in _REASONS.items()
        ],
        "body_format": _format("INTERNAL"),
    }


def _status_is(status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": f"weft.local_reply.{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _format(reason: str) -> dict[str, Any]:
    return {
        "json_format": {
            "type": f"urn:weft:error:{reason.lower().replace('_', '-')}",
            "title": reason.replace("_", " ").capitalize(),
            "status": "%RESPONSE_CODE%",
            "detail": "%LOCAL_REPLY_BODY%",
            "instance": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
            "reason": reason,
            "trace_id": "%RESP(X-TRACE-ID)%",
        },
        "content_type": CONTENT_TYPE,
    }
