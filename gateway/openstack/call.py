"""One request of a dialect, as its handlers see it."""

import base64
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import orjson
from starlette.requests import Request

from gateway.openstack.faults import Refusal
from gateway.openstack.upstream import Services, act_for
from mesh.errors import CloudError
from weft.identity.v1 import token_service_pb2
from weft.identity.v1.token_service_pb2_grpc import TokenServiceStub

S = TypeVar("S")
# The largest JSON document that a dialect reads; user data of a server is within it.
_LARGEST_BODY = 4 * 1024 * 1024
_UNREAD = object()
_TRUE, _FALSE = ("true", "1", "yes", "on", "t", "y"), ("false", "0", "no", "off", "f", "n")


class Reader(NamedTuple):
    """Whom a document is made for, as far as it depends on that.

    `base` is where the client reaches the dialect; `alone` says that one thing is asked for, and no list.
    """

    base: str
    microversion: tuple[int, int]
    alone: bool

    def url(self, path: str) -> str:
        """The address of a path below the mount, as the client reaches it."""
        return f"{self.base}{path}"


class Call:
    """What came in: parameters of the path, the query, the body, and the services to call for it.

    `params` holds what the path names; `microversion` is what was negotiated, (0, 0) where the service has
    none; `mount` is the dialect's place below the gateway's address.
    """

    def __init__(
        self,
        request: Request,
        params: Mapping[str, str],
        services: Services,
        mount: str,
        microversion: tuple[int, int],
    ) -> None:
        self.request, self.params, self._services = request, params, services
        self.mount, self.microversion = mount, microversion
        self.administers = False
        self._said: Any = _UNREAD

    def stub(self, stub_class: type[S]) -> S:
        """A stub of a contract; its calls are the caller's own and raise CloudError."""
        return self._services.stub(stub_class)

    @property
    def token(self) -> str:
        """The caller's token, "" when none was sent."""
        return self.request.headers.get("x-auth-token", "")

    async def administer(self) -> bool:
        """From here on calls are made for the whole system, if the caller has a role there; answers whether.

        OpenStack's administrators log in to a project and administer the cloud; the contracts want a token
        of the system for that. The caller's own is exchanged for one, as they could do themselves. Who has
        no role on the system goes on with their own token, which the contracts then refuse.
        """
        claims = _claims(self.token)
        is_admin = "admin" in (claims.get("rol") or ())
        self.administers = self.administers or (is_admin and claims.get("scp") == "system")
        if self.administers:
            return True
        if claims.get("scp") != "project" or not is_admin:
            return False
        request = token_service_pb2.CreateTokenRequest(scope={"system": True}, token={"token": self.token})
        try:
            answer = await self.stub(TokenServiceStub).CreateToken(request)
        except CloudError as error:
            if error.reason not in ("UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT"):
                raise
            return False
        act_for(answer.token, self.request.headers)
        self.administers = True
        return True

    @property
    def project_id(self) -> str:
        """The project that the caller's token says it is for; "" where it says none."""
        return str(_claims(self.token).get("prj") or "")

    @property
    def user_id(self) -> str:
        """The user whom the caller's token names."""
        return str(_claims(self.token).get("sub") or "")

    @property
    def domain_id(self) -> str:
        """The domain of the user whom the caller's token names."""
        return str(_claims(self.token).get("udm") or "")

    def saying(self, document: Any, **params: str) -> "Call":
        """The same call with another body, and other parameters of the path."""
        other = Call(self.request, params or self.params, self._services, self.mount, self.microversion)
        other.administers, other._said = self.administers, document
        return other

    @property
    def query(self) -> Mapping[str, str]:
        """The last value of each query parameter."""
        return self.request.query_params

    def queries(self, name: str) -> list[str]:
        """Every value of a query parameter."""
        return self.request.query_params.getlist(name)

    def flag(self, name: str) -> bool | None:
        """A query parameter as a truth value, None when absent. Raises Refusal when it is neither."""
        given = self.query.get(name)
        return None if given is None else truth(given, name)

    def url(self, path: str) -> str:
        """The address of a path below the mount, as the client reaches it."""
        return f"{self.root}{self.mount}{path}"

    @cached_property
    def reader(self) -> Reader:
        """For whom it is answered."""
        return Reader(self.url(""), self.microversion, bool(self.params))

    @cached_property
    def root(self) -> str:
        """Scheme and host as the client reaches them."""
        return f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"

    async def json(self) -> Any:
        """The body as JSON. Raises Refusal."""
        if self._said is _UNREAD:
            self._said = await self._read()
        return self._said

    async def _read(self) -> Any:
        body = bytearray()
        async for chunk in self.request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise Refusal(413, f"The body has more than {_LARGEST_BODY} bytes.")
        try:
            return orjson.loads(bytes(body))
        except orjson.JSONDecodeError as error:
            raise Refusal(400, f"The body is not JSON: {error}.") from error

    async def body(self, name: str = "") -> dict[str, Any]:
        """The body, or the one object in it of that name. Raises Refusal."""
        document = await self.json()
        if name and isinstance(document, dict):
            document = document.get(name)
        if not isinstance(document, dict):
            raise Refusal(400, f"The body must be an object{f' named {name}' if name else ''}.")
        return document


def _claims(token: str) -> Mapping[str, Any]:
    """What a token says of itself, unverified: only what the contracts check too may follow from it."""
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    except (ValueError, LookupError):
        return {}
    return claims if isinstance(claims, dict) else {}


def field(document: Any, name: str, kind: type[S], default: S | None = None) -> S:
    """A field of an object. Null counts as absent.

    Raises Refusal for another type, a number beyond 32 bits, a text with a NUL, or when it is missing.
    """
    if not isinstance(document, Mapping):
        raise Refusal(400, f"{document!r:.40} is no object with {name} in it.")
    value = document.get(name)
    if value is None:
        if default is None:
            raise Refusal(400, f"{name} is a required property.")
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Refusal(400, f"{name}: {value!r:.40} is not of type {kind.__name__}.")
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        raise Refusal(400, f"{name}: {value} is too far from nought.")
    if isinstance(value, str) and "\0" in value:
        raise Refusal(400, f"{name}: has a NUL in it.")
    return value


def truth(given: Any, name: str) -> bool:
    """A truth value, also one of the words for it. Raises Refusal."""
    if isinstance(given, bool):
        return given
    if not isinstance(given, str) or given.lower() not in _TRUE + _FALSE:
        raise Refusal(400, f"{name}: {given!r:.40} is neither true nor false.")
    return given.lower() in _TRUE


def strings(given: list[Any]) -> list[str]:
    """A list that has only strings in it. Raises Refusal."""
    if not all(isinstance(one, str) and "\0" not in one for one in given):
        raise Refusal(400, "A list of strings has something else in it.")
    return given


def refuse_unknown(document: Mapping[str, Any], known: set[str]) -> None:
    """Raises Refusal where a body has a field that weft would have to ignore."""
    unknown = sorted(set(document) - known)
    if unknown:
        raise Refusal(400, f"Additional properties are not allowed: {', '.join(unknown)}.")
