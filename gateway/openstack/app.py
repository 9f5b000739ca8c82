"""All dialects, as routes of the application behind the edge."""

from starlette.routing import Mount, Route

from gateway.openstack import identity, image, placement
from gateway.openstack.compute.dialect import DIALECT as COMPUTE
from gateway.openstack.dialect import Dialect
from gateway.openstack.door import Door
from gateway.openstack.network.dialect import DIALECT as NETWORK
from gateway.openstack.upstream import Services
from gateway.openstack.volume.dialect import DIALECT as VOLUME
from mesh.certificates import Authority, Identity
from mesh.settings import Settings

# In the order of the documentation.
DIALECTS: tuple[Dialect, ...] = (identity.DIALECT, image.DIALECT, placement.DIALECT, COMPUTE, NETWORK, VOLUME)


def routes(settings: Settings, authority: Authority) -> list[Route | Mount]:
    """The routes of every dialect."""
    services = Services(settings, authority.issue(Identity.gateway()))
    return [route for dialect in DIALECTS for route in Door(dialect, services).routes()]
