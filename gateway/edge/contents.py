"""The content of images, which goes through the edge as it is: no message is made of it."""

from gateway.edge.clusters import Config

SERVICE, CLUSTER = "image", "image-content"
_FILE = "/image/v1/images/[^/]+/file"
_METHODS = "GET|HEAD|PUT"
# What looks at messages has none to look at.
_PASSED_BY = ("problems", "grpc_web", "transcoder", "reasons")
_OFF = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}


def route(retries: Config) -> Config:
    """The REST paths of UploadImage and DownloadImage."""
    method = {"name": ":method", "string_match": {"safe_regex": {"regex": _METHODS}}}
    return {
        "match": {"safe_regex": {"regex": _FILE}, "headers": [method]},
        "route": {"cluster": CLUSTER, "timeout": "0s", "retry_policy": retries},
        "typed_per_filter_config": dict.fromkeys(_PASSED_BY, _OFF),
    }
