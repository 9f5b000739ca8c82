"""Everything that people name in a network may have labels too."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tests.services.network.conftest import Api, Cloud, refused
from weft.network.v1 import resources_pb2 as pb


async def made(weft: Cloud, mine: Api, noun: str, **fields: Any) -> Any:
    match noun:
        case "Subnet":
            network = await mine.CreateNetwork(name="n")
            return await mine.CreateSubnet(network_id=network.id, cidr="10.0.0.0/24", **fields)
        case "FloatingIp":
            external = (await mine.ListNetworks(external=True)).networks
            outside = external[0] if external else await weft.external_network()
            return await mine.CreateFloatingIp(network_id=outside.id, **fields)
    return await getattr(mine, f"Create{noun}")(name="x", **fields)


@pytest.mark.parametrize("noun", ["Subnet", "Router", "FloatingIp", "SecurityGroup"])
async def test_tags_are_kept_changed_and_taken_away(weft_on_both: Cloud, noun: str) -> None:
    mine, field = weft_on_both.project(), {"FloatingIp": "floating_ip", "SecurityGroup": "security_group"}
    name = field.get(noun, noun.lower())
    kept = await made(weft_on_both, mine, noun, tags=["a", "b"])
    assert list((await getattr(mine, f"Get{noun}")(id=kept.id)).tags) == ["a", "b"]
    for tags in (["c"], []):
        new = {name: getattr(pb, noun)(tags=tags), "update_mask": FieldMask(paths=["tags"])}
        changed = await getattr(mine, f"Update{noun}")(id=kept.id, **new)
        assert list(changed.tags) == tags
    await refused(made(weft_on_both, mine, noun, tags=["a", "a"]), "INVALID_ARGUMENT")
    assert list((await made(weft_on_both, weft_on_both.project(), noun)).tags) == []
