"""Boots a server over gRPC with plain grpcio: python boot.py NAME IMAGE FLAVOR NETWORK."""

import os
import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from weft.compute.v1 import flavor_service_pb2 as flavors
from weft.compute.v1 import flavor_service_pb2_grpc as flavors_grpc
from weft.compute.v1 import operation_service_pb2_grpc as operations_grpc
from weft.compute.v1 import server_service_pb2 as servers
from weft.compute.v1 import server_service_pb2_grpc as servers_grpc
from weft.image.v1 import image_service_pb2 as images
from weft.image.v1 import image_service_pb2_grpc as images_grpc
from weft.network.v1 import network_service_pb2 as networks
from weft.network.v1 import network_service_pb2_grpc as networks_grpc
from weft.operation.v1 import operation_pb2 as operations


def connect() -> grpc.Channel:
    """A channel that sends the token with every call."""
    trust = grpc.ssl_channel_credentials(Path(os.environ["WEFT_CA"]).read_bytes())
    token = grpc.access_token_call_credentials(os.environ["WEFT_TOKEN"])
    return grpc.secure_channel(os.environ["WEFT_ENDPOINT"], grpc.composite_channel_credentials(trust, token))


def only(found, what: str) -> str:
    """The id of the only one found."""
    if len(found) != 1:
        sys.exit(f"there are {len(found)} {what} of that name")
    return found[0].id


def follow(channel: grpc.Channel, operation_id: str) -> operations.Operation:
    """Print each step as it is done; the operation as it ended."""
    told: set[str] = set()
    watch = operations_grpc.OperationServiceStub(channel).WatchOperation
    operation = operations.Operation()
    for operation in watch(operations.WatchOperationRequest(id=operation_id)):
        for step in operation.steps:
            if step.state == operations.STEP_STATE_DONE and step.name not in told:
                told.add(step.name)
                print(f"  {step.name}")
    return operation


def boot(channel: grpc.Channel, name: str, image: str, flavor: str, network: str) -> None:
    """Boot it, show its console, delete it."""
    stub = servers_grpc.ServerServiceStub(channel)
    image_stub = images_grpc.ImageServiceStub(channel)
    flavor_stub = flavors_grpc.FlavorServiceStub(channel)
    network_stub = networks_grpc.NetworkServiceStub(channel)
    request = servers.CreateServerRequest(
        name=name,
        image_id=only(image_stub.ListImages(images.ListImagesRequest(name=image)).images, "images"),
        flavor_id=only(flavor_stub.ListFlavors(flavors.ListFlavorsRequest(name=flavor)).flavors, "flavors"),
    )
    found = network_stub.ListNetworks(networks.ListNetworksRequest(name=network)).networks
    request.networks.add(network_id=only(found, "networks"))
    server = stub.CreateServer(request)
    print(f"server {server.id}")
    operation = follow(channel, server.operation_id)
    if operation.state != operations.OPERATION_STATE_SUCCEEDED:
        sys.exit(f"{operation.error.reason}: {operation.error.message} (trace {operation.trace_id})")
    server = stub.GetServer(servers.GetServerRequest(id=server.id))
    print("addresses " + " ".join(address for port in server.ports for address in port.fixed_ips))
    console = stub.GetConsoleOutput(servers.GetConsoleOutputRequest(id=server.id, lines=5))
    print(console.output)
    server = stub.DeleteServer(servers.DeleteServerRequest(id=server.id))
    if follow(channel, server.operation_id).state != operations.OPERATION_STATE_SUCCEEDED:
        sys.exit("it could not be deleted")
    print("deleted")


def main() -> None:
    """Say what went wrong by its reason, as every error of weft carries one."""
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    with connect() as channel:
        try:
            boot(channel, *sys.argv[1:])
        except grpc.RpcError as error:
            info = error_details_pb2.ErrorInfo()
            for detail in getattr(rpc_status.from_call(error), "details", ()):
                if detail.Is(info.DESCRIPTOR):
                    detail.Unpack(info)
            sys.exit(f"{info.reason or error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
