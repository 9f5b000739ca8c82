"""Envoy's configuration, made from the settings and the contracts. Plain values, written as JSON."""

from pathlib import Path
from typing import Any

from gateway.edge import clusters, contents, problems
from gateway.edge.clusters import Config
from gateway.edge.contracts import DESCRIPTORS, PACKAGES, rest_services
from mesh.certificates import Leaf
from mesh.settings import Settings

_TYPE = "type.googleapis.com/envoy."
# Envoy keeps its spans for 5 s by default; a trace is looked at sooner. And it would send them by fives:
# under load that costs telemetry a third as much as the calls themselves cost.
_RUNTIME = {
    "tracing.opentelemetry.flush_interval_ms": 500,
    "tracing.opentelemetry.min_flush_spans": 512,
}
_LOGIN = "/weft.identity.v1.TokenService/CreateToken"
_ORIGINAL = "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"


def bootstrap(settings: Settings, upstream: Leaf, secrets: Path) -> Config:
    """The whole of it. `upstream` is shown to services; `secrets` holds the edge's own certificate as SDS."""
    services = [clusters.of_service(settings, name, upstream) for name in PACKAGES]
    return {
        "node": {"id": "gateway", "cluster": settings.cloud.name},
        "admin": {"address": clusters.at(settings.gateway.admin)},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
        "static_resources": {
            "listeners": [_listener(settings, secrets)],
            "clusters": [
                *services,
                clusters.of_contents(settings, contents.SERVICE, contents.CLUSTER, upstream),
                clusters.of_pages(settings),
            ],
        },
    }


def _listener(settings: Settings, secrets: Path) -> Config:
    tls = {
        "@type": _TYPE + "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [
                {"name": "edge", "sds_config": {"path_config_source": {"path": str(secrets)}}}
            ],
            # A client may show a certificate. Here it proves that it has the key; whose authority signed it
            # is looked at by identity, and only at a login by that.
            "validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"},
        },
    }
    return {
        "name": "edge",
        "address": clusters.at(settings.gateway.address),
        "per_connection_buffer_limit_bytes": clusters.BUFFER_BYTES,
        "filter_chains": [
            {
                "transport_socket": {"name": "tls", "typed_config": tls},
                "filters": [{"name": "http", "typed_config": _http(settings)}],
            }
        ],
    }


def _http(settings: Settings) -> Config:
    return {
        "@type": _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "use_remote_address": True,
        # What the client has shown, and nothing that it says of that.
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"cert": True},
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "stream_idle_timeout": "0s",  # a watch may be silent for hours; each call has its deadline
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "http2_protocol_options": {"max_concurrent_streams": 1000},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "tracing": _tracing(settings),
        "local_reply_config": problems.local_replies(),
        "route_config": {"name": "routes", "virtual_hosts": [_virtual_host()]},
        "http_filters": [
            _filter("problems", "lua.v3.Lua", default_source_code={"inline_string": problems.OUTER}),
            _filter("grpc_web", "grpc_web.v3.GrpcWeb"),
            _filter("transcoder", "grpc_json_transcoder.v3.GrpcJsonTranscoder", **_transcoder()),
            _filter("reasons", "lua.v3.Lua", default_source_code={"inline_string": problems.INNER}),
            _filter("router", "router.v3.Router"),
        ],
    }


def _filter(name: str, type_: str, **fields: Any) -> Config:
    return {
        "name": name,
        "typed_config": {"@type": f"{_TYPE}extensions.filters.http.{type_}", **fields},
    }


def _transcoder() -> Config:
    return {
        "proto_descriptor": str(DESCRIPTORS),
        "services": rest_services(),
        "convert_grpc_status": True,
        "print_options": {
            "always_print_primitive_fields": True,
            "preserve_proto_field_names": True,
            "stream_newline_delimited": True,
        },
        "request_validation_options": {
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
    }


# What never reached a service may be sent to another replica, whatever it is.
_UNSENT: Config = {
    "retry_on": "connect-failure,refused-stream",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": _TYPE + "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 3,
}


def _virtual_host() -> Config:
    calls = [_calls(name, {"prefix": f"/weft.{name}.v1."}) for name in PACKAGES]
    pages = [_unseen("/telemetry/"), contents.redirected(_pages("/image/v2/", "0s")), _pages("/")]
    return {
        "name": "cloud",
        "domains": ["*"],
        # Who is calling is known from the token alone: nobody outside may say it.
        "request_headers_to_remove": ["weft-caller-bin"],
        "response_headers_to_add": [
            _header("x-trace-id", "%TRACE_ID%"),
            _header("weft-trace-id", "%TRACE_ID%"),
            _header("weft-request-id", "%REQ(X-REQUEST-ID)%"),
            _header("strict-transport-security", "max-age=31536000"),
        ],
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
        "routes": [
            _calls("identity", {"path": _LOGIN}),
            *map(_without_certificate, [*contents.routes(_UNSENT), *calls, *pages]),
        ],
    }


def _calls(name: str, match: Config) -> Config:
    """RPCs of a service."""
    route = {
        "cluster": name,
        "timeout": "0s",
        "max_stream_duration": {"grpc_timeout_header_max": "0s"},
        "retry_policy": _UNSENT,
    }
    return {"match": match, "route": route}


def _without_certificate(route: Config) -> Config:
    """Nobody needs to know the client's certificate but who logs it in."""
    return route | {"request_headers_to_remove": ["x-forwarded-client-cert"]}


def _pages(prefix: str, timeout: str = "60s") -> Config:
    """The application behind the edge; no timeout (0s) where whole files pass."""
    return {"match": {"prefix": prefix}, "route": {"cluster": "pages", "timeout": timeout}}


def _unseen(prefix: str) -> Config:
    """Looking at traces leaves none, or whoever looks would see little else."""
    return _pages(prefix) | {"tracing": {"random_sampling": {"numerator": 0}}}


def _header(key: str, value: str) -> Config:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _tracing(settings: Settings) -> Config:
    share = settings.tracing.sample * 100 if settings.tracing.enabled else 0
    return {
        "provider": {
            "name": "opentelemetry",
            "typed_config": {
                "@type": _TYPE + "config.trace.v3.OpenTelemetryConfig",
                "grpc_service": {"envoy_grpc": {"cluster_name": "telemetry"}, "timeout": "2s"},
                "service_name": "gateway",
            },
        },
        "random_sampling": {"value": share},
        "spawn_upstream_span": False,
        "operation": _ORIGINAL,
    }
