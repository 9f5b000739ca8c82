"""The image service's RPCs: messages in, messages out."""

from services.image.api.content import ContentApi
from services.image.api.images import ImageApi
from services.image.api.imports import ImportApi
from services.image.api.members import MemberApi
from services.image.api.transfers import TransferApi
from weft.image.v1 import image_service_pb2_grpc


class ImageServicer(ImageApi, ContentApi, ImportApi, MemberApi, image_service_pb2_grpc.ImageServiceServicer):
    """weft.image.v1.ImageService."""


__all__ = ["ImageServicer", "TransferApi"]
