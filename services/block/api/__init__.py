"""The block service's RPCs: messages in, messages out."""

from services.block.api.attachments import AttachmentApi
from services.block.api.pools import PoolApi
from services.block.api.snapshots import SnapshotApi
from services.block.api.transfers import VolumeTransferApi
from services.block.api.types import VolumeTypeApi
from services.block.api.volumes import VolumeApi

__all__ = ["AttachmentApi", "PoolApi", "SnapshotApi", "VolumeApi", "VolumeTransferApi", "VolumeTypeApi"]
