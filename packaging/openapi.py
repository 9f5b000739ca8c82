"""The OpenAPI 3.1 document: one path for each google.api.http binding, by that annotation's own rules.

Fields keep their proto names, as the gateway's transcoder is told to.
"""

import re
from collections.abc import Iterator
from typing import Any

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2 as pb

from descriptors import Contracts, Method
from openapi_schemas import Schemas, is_required
from weft.options.v1 import access_pb2

Json = dict[str, Any]

VERBS = ("get", "put", "post", "patch", "delete")
BINARY = ".google.api.HttpBody"
VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]*))?\}")

PROBLEM: Json = {
    "type": "object",
    "description": "Why a call failed, as RFC 9457 problem details.",
    "required": ["title", "status"],
    "properties": {
        "type": {"type": "string", "description": "URI of the kind of problem."},
        "title": {"type": "string", "description": "The kind of problem, in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What happened to which thing, and what to do next."},
        "instance": {"type": "string", "description": "The path that was called."},
        "reason": {"type": "string", "description": "A value of weft.errors.v1.Reason without its prefix."},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "trace_id": {"type": "string", "description": "Finds the call's trace."},
    },
    "additionalProperties": True,
}


def document(contracts: Contracts) -> Json:
    """The whole document, in the order of the contracts."""
    schemas = Schemas(contracts)
    paths: dict[str, Json] = {}
    for method in contracts.methods:
        for number, rule in enumerate(_rules(method.descriptor)):
            verb, template = _verb_and_path(rule)
            path = VARIABLE.sub(lambda found: f"{{{found[1]}}}", template)
            operation = _Operation(contracts, schemas, method, rule).describe(number)
            paths.setdefault(path, {})[verb] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "weft",
            "version": "v1",
            "description": "REST as it is transcoded from weft's gRPC contracts.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}],
        "tags": _tags(contracts),
        "paths": paths,
        "components": {
            "schemas": {**schemas.used(), "Problem": PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "The call failed.",
                    "content": {
                        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                    },
                }
            },
        },
    }


def _rules(method: pb.MethodDescriptorProto) -> list[http_pb2.HttpRule]:
    if not method.options.HasExtension(annotations_pb2.http):
        return []
    rule = method.options.Extensions[annotations_pb2.http]
    return [rule, *rule.additional_bindings]


def _verb_and_path(rule: http_pb2.HttpRule) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind == "custom":
        return rule.custom.kind.lower(), rule.custom.path
    return kind, getattr(rule, kind)


def _tag(method: Method) -> str:
    return method.service.removeprefix(".")


def _tags(contracts: Contracts) -> list[Json]:
    """One for each service that REST reaches."""
    services = dict.fromkeys(method.service for method in contracts.methods if _rules(method.descriptor))
    return [{"name": name.removeprefix("."), "description": contracts.comments[name]} for name in services]


class _Operation:
    """One RPC under one of its bindings."""

    def __init__(
        self, contracts: Contracts, schemas: Schemas, method: Method, rule: http_pb2.HttpRule
    ) -> None:
        self.contracts, self.schemas, self.rule, self.method = contracts, schemas, rule, method
        self.rpc = method.descriptor
        self.variables = dict(VARIABLE.findall(_verb_and_path(rule)[1]))

    def describe(self, number: int) -> Json:
        access = self.rpc.options.Extensions[access_pb2.access]
        operation: Json = {
            "operationId": f"{_tag(self.method)}.{self.rpc.name}" + (f".{number}" if number else ""),
            "tags": [_tag(self.method)],
            "summary": self.method.comment.split(". ")[0].split("\n\n")[0].replace("\n", " "),
            "description": self.method.comment,
            "x-weft-permission": access.permission,
            "parameters": [*self._path_parameters(), *self._query_parameters()],
            "responses": {"200": self._response(), "default": {"$ref": "#/components/responses/Problem"}},
        }
        if access.audience == access_pb2.AUDIENCE_PUBLIC:
            operation["security"] = []
        if self.rule.body:
            operation["requestBody"] = self._body()
        return operation

    def _path_parameters(self) -> Iterator[Json]:
        for name, pattern in self.variables.items():
            owner, field = self._find(name)
            parameter = self._parameter(name, owner, field, "path")
            if pattern:
                parameter["description"] += f"\n\nOf the form `{pattern}`."
            yield {**parameter, "required": True}

    def _query_parameters(self) -> Iterator[Json]:
        if self.rule.body == "*":
            return
        yield from self._query_fields("", self.rpc.input_type, (self.rpc.input_type,))

    def _query_fields(self, prefix: str, owner: str, seen: tuple[str, ...]) -> Iterator[Json]:
        """Every field that is neither in the path nor the body; messages by their fields, joined by dots."""
        for field in self.contracts.messages[owner].field:
            name = prefix + field.name
            if name in self.variables or name == self.rule.body:
                continue
            if self.schemas.is_plain_message(field):
                repeated = field.label == field.LABEL_REPEATED
                if not repeated and field.type_name not in seen:
                    yield from self._query_fields(f"{name}.", field.type_name, (*seen, field.type_name))
                continue
            yield self._parameter(name, owner, field, "query")

    def _parameter(self, name: str, owner: str, field: pb.FieldDescriptorProto, place: str) -> Json:
        schema = self.schemas.field(owner, field)
        description = schema.pop("description", "")
        required = place == "query" and "." not in name and is_required(field)
        return {"name": name, "in": place, "description": description, "required": required, "schema": schema}

    def _find(self, name: str) -> tuple[str, pb.FieldDescriptorProto]:
        owner = self.rpc.input_type
        *parents, last = name.split(".")
        for parent in parents:
            owner = self._field(owner, parent).type_name
        return owner, self._field(owner, last)

    def _field(self, owner: str, name: str) -> pb.FieldDescriptorProto:
        return next(each for each in self.contracts.messages[owner].field if each.name == name)

    def _body(self) -> Json:
        if self.rule.body == "*":
            schema = self.schemas.message_without(self.rpc.input_type, set(self.variables))
            return {"required": True, "content": {"application/json": {"schema": schema}}}
        owner, field = self._find(self.rule.body)
        if field.type_name == BINARY:
            return {"required": True, "content": {"application/octet-stream": {"schema": {}}}}
        schema = self.schemas.field(owner, field)
        return {"required": True, "content": {"application/json": {"schema": schema}}}

    def _response(self) -> Json:
        kind, part = self.rpc.output_type, self.rule.response_body
        if kind == BINARY:
            return {"description": "The content.", "content": {"application/octet-stream": {"schema": {}}}}
        schema = self.schemas.reference(kind)
        if part:
            schema = self.schemas.field(kind, self._field(kind, part))
        if self.rpc.server_streaming:
            return {
                "description": "A stream: one JSON object a line, until the server or the caller ends it.",
                "content": {"application/x-ndjson": {"schema": schema}},
            }
        return {"description": "Done.", "content": {"application/json": {"schema": schema}}}
