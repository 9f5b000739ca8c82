"""The content of images, which goes through the edge as it is: no message is made of it."""

from gateway.edge.clusters import Config

SERVICE, CLUSTER = "image", "image-content"
_FILE = "/image/v1/images/[^/]+/file"
_METHODS = "GET|HEAD|PUT"
# What looks at messages has none to look at.
_PASSED_BY = ("problems", "grpc_web", "transcoder", "reasons")
_OFF = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}


def routes(retries: Config) -> list[Config]:
    """The REST paths of UploadImage and DownloadImage; the second is where OpenStack's downloads come to."""
    method = {"name": ":method", "string_match": {"safe_regex": {"regex": _METHODS}}}
    plain = {
        "match": {"safe_regex": {"regex": _FILE}, "headers": [method]},
        "route": {"cluster": CLUSTER, "timeout": "0s", "retry_policy": retries},
        "typed_per_filter_config": dict.fromkeys(_PASSED_BY, _OFF),
    }
    dialect = {"name": "x-auth-token", "present_match": True}
    return [
        plain
        | {
            "match": {"safe_regex": {"regex": _FILE}, "headers": [method, dialect]},
            "request_headers_to_add": [_set("authorization", "Bearer %REQ(X-AUTH-TOKEN)%")],
            "response_headers_to_add": [_set("x-openstack-request-id", "req-%REQ(X-REQUEST-ID)%")],
        },
        plain,
    ]


def redirected(route: Config) -> Config:
    """A route whose application may send the edge itself to a content: the client sees no redirect."""
    policy = {"redirect_response_codes": [307], "max_internal_redirects": 1}
    return route | {"route": {**route["route"], "internal_redirect_policy": policy}}


def _set(key: str, value: str) -> Config:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
