"""JSON Schemas of the contracts' messages and enums, by proto3's JSON mapping, with buf.validate's bounds."""

from typing import Any

from google.protobuf import descriptor_pb2 as pb

from buf.validate import validate_pb2
from descriptors import Contracts

Json = dict[str, Any]
Field = pb.FieldDescriptorProto

# 64-bit integers are strings in proto3's JSON, and numbers are accepted too.
LONG: Json = {"type": ["string", "integer"], "format": "int64", "pattern": "^-?[0-9]+$"}
UNSIGNED_LONG: Json = {"type": ["string", "integer"], "format": "uint64", "pattern": "^[0-9]+$", "minimum": 0}
INT: Json = {"type": "integer", "format": "int32"}
UNSIGNED: Json = {"type": "integer", "format": "uint32", "minimum": 0}
SCALARS: dict[int, Json] = {
    Field.TYPE_DOUBLE: {"type": "number", "format": "double"},
    Field.TYPE_FLOAT: {"type": "number", "format": "float"},
    Field.TYPE_INT64: LONG,
    Field.TYPE_SINT64: LONG,
    Field.TYPE_SFIXED64: LONG,
    Field.TYPE_UINT64: UNSIGNED_LONG,
    Field.TYPE_FIXED64: UNSIGNED_LONG,
    Field.TYPE_INT32: INT,
    Field.TYPE_SINT32: INT,
    Field.TYPE_SFIXED32: INT,
    Field.TYPE_UINT32: UNSIGNED,
    Field.TYPE_FIXED32: UNSIGNED,
    Field.TYPE_BOOL: {"type": "boolean"},
    Field.TYPE_STRING: {"type": "string"},
    Field.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
# Messages with a JSON form of their own.
WELL_KNOWN: dict[str, Json] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    ".google.protobuf.FieldMask": {"type": "string", "description": "Names of fields, joined by commas."},
    ".google.protobuf.Struct": {"type": "object"},
    ".google.protobuf.Value": {},
    ".google.protobuf.ListValue": {"type": "array", "items": {}},
    ".google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}},
    ".google.protobuf.Empty": {"type": "object"},
    ".google.protobuf.BoolValue": {"type": "boolean"},
    ".google.protobuf.StringValue": {"type": "string"},
    ".google.protobuf.BytesValue": {"type": "string", "contentEncoding": "base64"},
    ".google.protobuf.Int32Value": INT,
    ".google.protobuf.UInt32Value": UNSIGNED,
    ".google.protobuf.Int64Value": LONG,
    ".google.protobuf.UInt64Value": UNSIGNED_LONG,
    ".google.protobuf.FloatValue": {"type": "number", "format": "float"},
    ".google.protobuf.DoubleValue": {"type": "number", "format": "double"},
}
# How buf.validate's rules are called in JSON Schema.
BOUNDS = {
    "gte": "minimum",
    "lte": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "const": "const",
}
LENGTHS = {"min_len": "minLength", "max_len": "maxLength", "const": "const", "pattern": "pattern"}
FORMATS = {
    "uuid": "uuid",
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
}
COUNTS = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}
PAIRS = {"min_pairs": "minProperties", "max_pairs": "maxProperties"}


class Schemas:
    """Makes schemas, and remembers which messages and enums they refer to."""

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self.wanted: dict[str, None] = {}

    def used(self) -> Json:
        """The component schemas of everything that was referred to, directly or through another."""
        made: Json = {}
        while waiting := [name for name in self.wanted if _component(name) not in made]:
            for name in waiting:
                made[_component(name)] = self._component_schema(name)
        return dict(sorted(made.items()))

    def reference(self, type_name: str) -> Json:
        if type_name in WELL_KNOWN:
            return dict(WELL_KNOWN[type_name])
        self.wanted[type_name] = None
        return {"$ref": f"#/components/schemas/{_component(type_name)}"}

    def is_plain_message(self, field: Field) -> bool:
        """True for a message that is an object of its own in JSON; maps among them."""
        return field.type == Field.TYPE_MESSAGE and field.type_name not in WELL_KNOWN

    def field(self, owner: str, field: Field) -> Json:
        """The schema of one field, with its comment and the bounds that its rules set."""
        rules = field.options.Extensions[validate_pb2.field]
        entry = self.contracts.messages.get(field.type_name)
        if entry is not None and entry.options.map_entry:
            values = self.field(field.type_name, entry.field[1]) | _bounds(rules.map.values)
            schema = {"type": "object", "additionalProperties": values, **_named(rules.map, PAIRS)}
            if names := _bounds(rules.map.keys):
                schema["propertyNames"] = names
        elif field.label == Field.LABEL_REPEATED:
            items = self._single(field) | _bounds(rules.repeated.items)
            schema = {"type": "array", "items": items, **_named(rules.repeated, COUNTS)}
        else:
            schema = _zero_allowed(self._single(field) | _bounds(rules), rules)
        comment = self.contracts.comments.get(f"{owner}.{field.name}", "")
        return {**schema, "description": comment} if comment else schema

    def message_without(self, type_name: str, left_out: set[str]) -> Json:
        """The body of a request whose other fields stand in its path."""
        if not left_out:
            return self.reference(type_name)
        return self._message(type_name, left_out)

    def _single(self, field: Field) -> Json:
        if field.type in (Field.TYPE_MESSAGE, Field.TYPE_ENUM):
            return self.reference(field.type_name)
        return dict(SCALARS[field.type])

    def _component_schema(self, name: str) -> Json:
        if name in self.contracts.enums:
            return self._enum(name)
        return self._message(name, set())

    def _message(self, name: str, left_out: set[str]) -> Json:
        fields = [each for each in self.contracts.messages[name].field if each.name not in left_out]
        schema: Json = {
            "type": "object",
            "properties": {each.name: self.field(name, each) for each in fields},
        }
        if comment := self.contracts.comments.get(name, ""):
            schema["description"] = comment
        if required := [each.name for each in fields if is_required(each)]:
            schema["required"] = required
        return schema

    def _enum(self, name: str) -> Json:
        values = [value.name for value in self.contracts.enums[name].value]
        comments = {value: self.contracts.comments.get(f"{name}.{value}", "") for value in values}
        lines = [f"- `{value}`: {text}" for value, text in comments.items() if text]
        description = "\n".join([self.contracts.comments.get(name, ""), "", *lines]).strip()
        return {"type": "string", "enum": values, "description": description}


def is_required(field: Field) -> bool:
    """True where the contract refuses a request without the field."""
    return field.options.Extensions[validate_pb2.field].required


def _component(type_name: str) -> str:
    return type_name.removeprefix(".")


def _bounds(rules: validate_pb2.FieldRules) -> Json:
    kind = rules.WhichOneof("type")
    if kind is None or kind in ("repeated", "map", "any", "enum", "duration", "timestamp", "field_mask"):
        return {}
    own = getattr(rules, kind)
    if kind in ("string", "bytes"):
        return _text_bounds(kind, own)
    bounds = _named(own, BOUNDS if kind != "bool" else {"const": "const"})
    return bounds | ({"enum": list(getattr(own, "in"))} if kind != "bool" and getattr(own, "in") else {})


def _text_bounds(kind: str, rules: Any) -> Json:
    if kind == "bytes":
        return {}  # lengths are of the bytes, not of their base64
    bounds = _named(rules, LENGTHS)
    if rules.HasField("len"):
        bounds |= {"minLength": rules.len, "maxLength": rules.len}
    if getattr(rules, "in"):
        bounds["enum"] = list(getattr(rules, "in"))
    known = rules.WhichOneof("well_known")
    return bounds | ({"format": FORMATS[known]} if known in FORMATS else {})


def _named(rules: Any, names: dict[str, str]) -> Json:
    present = {each.name for each, _ in rules.ListFields()}
    return {theirs: getattr(rules, ours) for ours, theirs in names.items() if ours in present}


def _zero_allowed(schema: Json, rules: validate_pb2.FieldRules) -> Json:
    """An empty text passes rules that are ignored for the zero value, so the schema must let it pass."""
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and schema.get("type") == "string":
        return {"anyOf": [schema, {"const": ""}]}
    return schema
