"""Every error that leaves the edge by HTTP is problem details (RFC 9457).

A service writes the problem as JSON in ASCII into the trailer `weft-problem` beside its gRPC status. The
inner script, next to the router, keeps it when the trailers pass; the outer one, which sees what the
transcoder made of the call, puts it in place of the body. Callers of gRPC itself get their status untouched.
"""

CONTENT_TYPE = "application/problem+json"

# Replies of Envoy's own: no route, a body too large, a service that does not answer.
LOCAL = {
    "type": "about:blank",
    "title": "%RESPONSE_CODE_DETAILS%",
    "status": "%RESPONSE_CODE%",
    "detail": "%LOCAL_REPLY_BODY%",
    "instance": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "trace_id": "%TRACE_ID%",
}

INNER = """
local function keep(handle, headers)
  local problem = headers and headers:get("weft-problem")
  if problem then
    handle:streamInfo():dynamicMetadata():set("weft", "problem", problem)
    headers:remove("weft-problem")
  end
end

function envoy_on_response(handle)
  keep(handle, handle:headers())
  if handle:headers():get("content-type") == "application/grpc" then
    keep(handle, handle:trailers())
  end
end
"""

OUTER = """
function envoy_on_response(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type") or ""
  if string.sub(kind, 1, 16) == "application/grpc" then return end
  if tonumber(headers:get(":status")) < 400 then return end
  local kept = handle:streamInfo():dynamicMetadata():get("weft")
  if not kept or not kept.problem then return end
  handle:body(true):setBytes(kept.problem)
  headers:replace("content-type", "application/problem+json")
end
"""
