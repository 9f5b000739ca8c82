"""Identity's long-running work."""

from services.identity.flows.purge import PURGE

FLOWS = (PURGE,)
