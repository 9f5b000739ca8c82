"""Somebody who administers the cloud: lets projects, and purges them with all that is under way in them."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.cloud import health
from mesh import ids
from mesh.channel import Client, connect
from mesh.errors import CloudError
from tests.chaos import settle
from tests.chaos.calls import DEFECTS, Caller, Unsure
from tests.chaos.cloud import ChaosCloud
from tests.chaos.deeds.hands import Hands, Place
from tests.chaos.figures import Figures
from tests.chaos.told import Presence, Told
from weft.block.v1.volume_service_pb2 import CreateVolumeRequest
from weft.block.v1.volume_service_pb2_grpc import VolumeServiceStub
from weft.compute.v1.server_service_pb2 import CreateServerRequest
from weft.compute.v1.server_service_pb2_grpc import ServerServiceStub
from weft.identity.v1 import project_service_pb2 as projects
from weft.identity.v1 import role_service_pb2 as roles
from weft.identity.v1 import token_service_pb2 as tokens
from weft.identity.v1.operation_service_pb2_grpc import OperationServiceStub
from weft.identity.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.identity.v1.role_service_pb2_grpc import RoleServiceStub
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub
from weft.image.v1.image_service_pb2 import CreateImageRequest, ImportImageRequest
from weft.image.v1.image_service_pb2_grpc import ImageServiceStub
from weft.network.v1.floating_ip_service_pb2 import CreateFloatingIpRequest
from weft.network.v1.floating_ip_service_pb2_grpc import FloatingIpServiceStub

_TENANTS_PAUSE = 3.0  # seconds that a project is lived in, at most
_PURGES = 8


class Landlord(Hands):
    """Lives on the cloud beside its people."""

    def __init__(self, cloud: ChaosCloud, told: Told, figures: Figures, seed: int) -> None:
        self._cloud, self._user_id, self._tenants = cloud, "", 0
        rng = random.Random(f"{seed}/landlord")
        client = connect(cloud.layout.endpoint, cloud.layout.ca)
        caller = Caller(client, "", lambda: self._login(client, {"system": True}), figures, rng)
        super().__init__("landlord", caller, Place("", "", "", "", ("", ""), ""), told, figures, rng)
        self.idle = asyncio.Event()

    async def move_in(self, place: Place, image: Path) -> None:
        """Log in, and offer an image to everybody; `place` says what else there is."""
        self.caller.client.token = await self._login(self.caller.client, {"system": True})
        async with await health.administrator(self._cloud.layout, project="admin") as client:
            offered = await settle.public_image(client, image)
        self.place = replace(place, project_id="", network_id="", image_id=offered)

    async def furnish(self) -> None:
        """Has all it needs."""

    async def live(self, working: asyncio.Event) -> None:
        """Let one project after another, until cancelled."""
        while True:
            self.idle.set()
            await working.wait()
            self.idle.clear()
            try:
                await self._let()
            except Unsure:
                self.count("let", "nobody answered")
            except CloudError as error:
                self.count("let", f"refused {error.reason}")
                if error.reason in DEFECTS:
                    self.told.contradiction(f"landlord: {error.reason} {error.message} {error.fields}")
            await asyncio.sleep(self.rng.uniform(0, _TENANTS_PAUSE))

    async def _let(self) -> None:
        """The life of a project: it is let, lived in, and purged until that succeeds."""
        self._tenants += 1
        thing = self.told.asked("project", f"tenant-{self._tenants}", "")
        request = projects.CreateProjectRequest(name=thing.name, request_id=ids.new())
        made = await self.make(thing, self.stub(ProjectServiceStub).CreateProject, request)
        try:
            await self._live_in(made.id)
        except (CloudError, Unsure):
            self.count("tenant", "left early")
        for _ in range(_PURGES):
            if await self._purge(made.id) == "SUCCEEDED":
                thing.presence = Presence.GONE
                return

    async def _live_in(self, project_id: str) -> None:
        """A network with a way out, and work that may be under way when the project goes."""
        grant = roles.GrantRoleRequest(user_id=self._user_id, role_name="member", project_id=project_id)
        await self.caller.insist(self.stub(RoleServiceStub).GrantRole, grant)
        async with connect(self._cloud.layout.endpoint, self._cloud.layout.ca) as client:
            tenant = Caller(
                *(client, project_id, lambda: self._login(client, {"project_id": project_id})),
                *(self.figures, self.rng),
            )
            client.token = await self._login(client, {"project_id": project_id})
            network_id = await settle.network(client, self.place.external_id)
            floating = CreateFloatingIpRequest(network_id=self.place.external_id, request_id=ids.new())
            await tenant.insist(client.stub(FloatingIpServiceStub).CreateFloatingIp, floating)
            volume = CreateVolumeRequest(name="v", size_gib=1, request_id=ids.new())
            await tenant.insist(client.stub(VolumeServiceStub).CreateVolume, volume)
            await self._begin_import(tenant)
            for number in range(self.rng.randint(1, 2)):
                server = CreateServerRequest(
                    name=f"s{number}", flavor_id=self.place.flavors[0], image_id=self.place.image_id,
                    networks=[{"network_id": network_id}], request_id=ids.new(),
                )  # fmt: skip
                await tenant.insist(client.stub(ServerServiceStub).CreateServer, server)
        await asyncio.sleep(self.rng.uniform(0, _TENANTS_PAUSE))

    async def _begin_import(self, tenant: Caller) -> None:
        """An image whose content may still be on its way when the project goes."""
        images = tenant.client.stub(ImageServiceStub)
        described = CreateImageRequest(name="i", disk_format="DISK_FORMAT_RAW", request_id=ids.new())
        image = await tenant.insist(images.CreateImage, described)
        uri = f"{self.place.web}/65536/{self.rng.uniform(0, 2 * _TENANTS_PAUSE):.2f}/{image.id}"
        await tenant.insist(
            images.ImportImage, ImportImageRequest(id=image.id, uri=uri, request_id=ids.new())
        )

    async def _purge(self, project_id: str) -> str:
        """How a purge ended that may have been cancelled."""
        request = projects.PurgeProjectRequest(id=project_id, delete_project=True, request_id=ids.new())
        operations: Any = self.stub(OperationServiceStub)
        begun = await self.mutate(self.stub(ProjectServiceStub).PurgeProject, request)
        if self.rng.random() < 0.3:
            await self.cancel(operations, begun.operation_id)
        return await self.ended(operations, "project.purge", begun.operation_id)

    async def _login(self, client: Client, scope: dict[str, Any]) -> str:
        password = (await asyncio.to_thread(self._cloud.layout.admin_password.read_text)).strip()
        credential = tokens.PasswordCredential(user_name="admin", password=password)
        request = tokens.CreateTokenRequest(password=credential, scope=scope)
        answer = await client.stub(TokenServiceStub).CreateToken(request, timeout=10)
        self._user_id = answer.info.user_id
        return str(answer.token)
