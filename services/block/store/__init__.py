"""All SQL of the block service. Functions take a connection, and a `reach`: a project id, or None for all."""

from services.block.store import attachments, pools, snapshots, transfers, types, usage, volumes

__all__ = ["attachments", "pools", "snapshots", "transfers", "types", "usage", "volumes"]
