"""The block service's long-running work, one file a flow."""

from services.block.flows import (
    snapshot_create,
    snapshot_delete,
    volume_create,
    volume_delete,
    volume_extend,
)

FLOWS = [
    volume_create.FLOW,
    volume_delete.FLOW,
    volume_extend.FLOW,
    snapshot_create.FLOW,
    snapshot_delete.FLOW,
]
