"""What all of Neutron's documents have."""

from typing import Any

from gateway.openstack import times


def common(item: Any) -> dict[str, Any]:
    """Identity, owner, times and revision."""
    return {
        "id": item.id,
        "project_id": item.project_id,
        "tenant_id": item.project_id,
        "description": item.description,
        "created_at": times.seconds(item.created_at),
        "updated_at": times.seconds(item.updated_at),
        "revision_number": item.revision,
    }
