"""Databases for flows: the mesh's tables and those of the rehearsed world."""

import pytest
from sqlalchemy import MetaData

from mesh import tables
from tests.flows import rehearse


@pytest.fixture
def metadata() -> MetaData:
    if "operations" not in rehearse.metadata.tables:
        tables.add_to(rehearse.metadata)
    return rehearse.metadata
