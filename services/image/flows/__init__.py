"""The image service's long-running work."""

from services.image.flows.image_import import IMPORT

FLOWS = (IMPORT,)
