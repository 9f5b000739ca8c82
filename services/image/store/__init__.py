"""All SQL of the image service. Functions take a connection, and a `reach`: a project id, or None for all."""

from services.image.store import images, imports, members, uploads

__all__ = ["images", "imports", "members", "uploads"]
