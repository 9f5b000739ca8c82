"""Answers put together of parts that were serialized before."""

from hypothesis import given
from hypothesis import strategies as st

from mesh import ready
from weft.placement.v1 import candidate_service_pb2 as pb


@given(st.lists(st.text(max_size=300)), st.integers(0, 2**31 - 1))
def test_parts_of_any_length_are_read_as_a_message(names, count) -> None:
    removals = [pb.Removal(requirement=name * 60, removed=count) for name in names]
    field = pb.ListCandidatesResponse.DESCRIPTOR.fields_by_name["removals"].number
    together = ready.Ready(ready.part(field, each.SerializeToString()) for each in removals)
    assert pb.ListCandidatesResponse.FromString(together.content).removals == removals


def test_a_message_is_serialized_as_before_and_bytes_that_are_ready_as_they_are() -> None:
    serialize = ready.serializer(pb.Removal.SerializeToString)
    removal = pb.Removal(requirement="VCPU", removed=3)
    assert serialize(removal) == removal.SerializeToString()
    assert serialize(ready.Ready([b"a", b"b"])) == b"ab"
