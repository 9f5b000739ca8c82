"""Where the edge sends what comes: the services, their contents, the application behind it."""

from typing import Any

from mesh.certificates import Leaf
from mesh.settings import Settings

Config = dict[str, Any]
_TYPE = "type.googleapis.com/envoy."
# The largest JSON body of a REST call, and of any one gRPC message's buffer at the edge. File uploads stream.
BUFFER_BYTES = 4 * 1024 * 1024


def of_service(settings: Settings, name: str, leaf: Leaf) -> Config:
    """A service's RPCs: gRPC by mutual TLS."""
    keepalive = {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}
    return {
        **_cluster(name, settings.address(name), {"grpc_health_check": {}}),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": keepalive},
            }
        },
        "transport_socket": _tls(settings, name, leaf, "h2"),
    }


def of_contents(settings: Settings, service: str, name: str, leaf: Leaf) -> Config:
    """The port of a service's contents: HTTP/1.1 by mutual TLS, a connection for each."""
    return {
        **_cluster(name, settings.bulk_address(service), {"tcp_health_check": {}}),
        "transport_socket": _tls(settings, service, leaf, "http/1.1"),
    }


def of_pages(settings: Settings) -> Config:
    """The application behind the edge."""
    return _cluster("pages", settings.gateway.dialects)


def _tls(settings: Settings, name: str, leaf: Leaf, protocol: str) -> Config:
    """What we show to a service, and who it must prove to be."""
    files = {"certificate_chain": leaf.certificate_path, "private_key": leaf.key_path}
    uri = f"spiffe://{settings.cloud.name}/service/{name}"
    tls = {
        "@type": _TYPE + "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": f"{name}.weft.internal",
        "common_tls_context": {
            "alpn_protocols": [protocol],
            "tls_certificates": [
                {key: {"filename": str(path)} for key, path in files.items()}
                | {"watched_directory": {"path": str(leaf.directory)}}
            ],
            "validation_context": {
                "trusted_ca": {"filename": str(leaf.directory / "ca.crt")},
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": uri}}],
            },
        },
    }
    return {"name": "tls", "typed_config": tls}


def _cluster(name: str, address: str, health: Config | None = None) -> Config:
    """One address, or several with commas between them: replicas, of which those are called that answer."""
    addresses = address.split(",")
    named = not address.startswith("unix:")
    endpoints = [{"endpoint": {"address": _where(each)}} for each in addresses]
    return {
        "name": name,
        "type": "STRICT_DNS" if named else "STATIC",
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        **(_asked_for_their_health(health) if health and len(addresses) > 1 else {}),
    }


def _asked_for_their_health(health: Config) -> Config:
    """A replica that does not say that it is well gets no calls; where none does, all are tried."""
    check = {
        "interval": "1s",
        "no_traffic_interval": "1s",
        "timeout": "2s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        **health,
    }
    return {"health_checks": [check], "ignore_health_on_host_removal": True}


def _where(address: str) -> Config:
    if address.startswith("unix:"):
        return {"pipe": {"path": address.removeprefix("unix:")}}
    return at(address)


def at(address: str) -> Config:
    """`host:port` as Envoy writes it."""
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
