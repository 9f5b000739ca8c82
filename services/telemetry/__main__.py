"""The telemetry service: wiring only."""

from datetime import timedelta
from pathlib import Path

from msgspec import Struct
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from mesh.reconcile import Sweep
from mesh.server import Runtime, Service, main
from services.telemetry.api import Receiver, Traces
from services.telemetry.store import traces, warnings
from services.telemetry.tables import TABLES
from services.telemetry.warnings import Warnings
from weft.options.v1.access_pb2 import AUDIENCE_PUBLIC, Access
from weft.telemetry.v1 import trace_service_pb2_grpc as traces_grpc
from weft.telemetry.v1 import warning_service_pb2_grpc as warnings_grpc

MIGRATIONS = Path(__file__).parent / "migrations"


class Telemetry(Struct, frozen=True, forbid_unknown_fields=True):
    """`retention_days` is how long spans are kept."""

    retention_days: float = 7


def build(runtime: Runtime) -> Service:
    """The service of one process."""
    keep = timedelta(days=runtime.settings.section("telemetry", Telemetry).retention_days)

    async def forget() -> None:
        while await runtime.database.write(traces.forget, keep):
            pass
        await runtime.database.write(warnings.forget)

    # Every process of the cloud sends spans, the gateway too, whose certificate gives no rights: a
    # certificate of this cloud is all that it takes, and the edge has no route here.
    spans = Access(permission="telemetry.spans.export", audience=AUDIENCE_PUBLIC)
    return Service(
        servicers=[
            (traces_grpc.add_TraceServiceServicer_to_server, Traces(runtime.database)),
            (warnings_grpc.add_WarningServiceServicer_to_server, Warnings(runtime.database)),
            (trace_service_pb2_grpc.add_TraceServiceServicer_to_server, Receiver(runtime.database)),
        ],
        rules={"/opentelemetry.proto.collector.trace.v1.TraceService/Export": spans},
        background=[Sweep("forget what is old", 3600, forget).run],
    )


if __name__ == "__main__":
    main("telemetry", build, TABLES)
