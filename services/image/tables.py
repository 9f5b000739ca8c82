"""Tables of the image service."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, MetaData, String, Table

from mesh import clock, tables
from mesh.columns import Id, Json, Timestamp, resource_columns

TABLES = MetaData()
tables.add_to(TABLES)

images = Table(
    "images",
    TABLES,
    *resource_columns(),
    Column("disk_format", String(16), nullable=False),
    Column("size_bytes", BigInteger, nullable=False, default=0),
    Column("virtual_size_bytes", BigInteger, nullable=False, default=0),
    Column("min_disk_gib", Integer, nullable=False, default=0),
    Column("min_memory_mib", Integer, nullable=False, default=0),
    Column("sha256", String(64), nullable=False, default="", index=True),
    Column("sha512", String(128), nullable=False, default=""),
    Column("expected_sha256", String(64), nullable=False, default=""),
    Column("visibility", String(16), nullable=False),
    Column("protected", Boolean, nullable=False, default=False),
    Column("hidden", Boolean, nullable=False, default=False),
    Column("properties", Json, nullable=False),
    # Who is uploading, and until when that is believed without another sign of life.
    Id("upload_id", nullable=True),
    Column("upload_until", Timestamp, nullable=True),
    # The host that is to bring the content, where one is.
    Id("uploader_host_id", nullable=True),
)

tags = Table(
    "image_tags",
    TABLES,
    Id("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(255), primary_key=True),
)

members = Table(
    "image_members",
    TABLES,
    Id("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Id("member_project_id", primary_key=True, index=True),
    Column("status", String(16), nullable=False),
    Column("created_at", Timestamp, nullable=False, default=clock.now),
    Column("updated_at", Timestamp, nullable=False, default=clock.now),
    Column("revision", BigInteger, nullable=False, default=1),
)
