"""Compute's flows, in peril."""

from services.compute.__main__ import FLOWS
from services.compute.flows.app import App
from services.compute.nodes import Nodes
from tests import perils
from tests.services.compute.cloud import Cloud


class Survivor(perils.Survivor):
    """Runs them on a cloud; whenever an engine has died, another takes over."""

    def __init__(self, cloud: Cloud) -> None:
        runtime = cloud.runtime
        app = App(runtime.database, runtime.peers, Nodes(runtime.peers, runtime.database))
        super().__init__(runtime, FLOWS, app)
