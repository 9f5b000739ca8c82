"""Client certificates: what the edge says of the one that it was shown, whether it holds, what it claims."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from services.identity.certificate_errors import UNREADABLE

# One element, as Envoy writes it; the value is escaped as in a URL.
_SHOWN = re.compile(r'(?:[^,;"]+;)*Cert="([^,;"]+)"(?:;[^,;"]+)*')
_LONGEST_SUBJECT = 255
_UNREADABLE = (VerificationError, *UNREADABLE)


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate that holds says, in the form of an ID token's claims, and when it ends."""

    claims: dict[str, Any]
    until: datetime


def shown(said: str) -> str:
    """The certificate (PEM) in the edge's header; "" where there is none."""
    found = _SHOWN.fullmatch(said)
    return unquote(found[1]) if found else ""


def verified(pem: str, authorities: str, at: datetime) -> Certified | None:
    """What the certificate says, if one of these authorities (PEM) issued it to a client and it holds."""
    try:
        verifier = _policy(authorities, at).build_client_verifier()
        chain = verifier.verify(x509.load_pem_x509_certificate(pem.encode()), []).chain
        claims = _claims(chain[0])
    except _UNREADABLE:
        return None
    if not (0 < len(claims["sub"]) <= _LONGEST_SUBJECT and claims["sub"].isprintable()):
        return None
    return Certified(claims, min(each.not_valid_after_utc for each in chain))


def check_authorities(pem: str) -> None:
    """Raises ValueError unless these are certificates of authorities."""
    for each in x509.load_pem_x509_certificates(pem.encode()):
        try:
            is_one = each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (x509.ExtensionNotFound, *_UNREADABLE) as error:
            raise ValueError(f"{each.subject.rfc4514_string()} is no authority's") from error
        if not is_one:
            raise ValueError(f"{each.subject.rfc4514_string()} is no authority's")


def _policy(authorities: str, at: datetime) -> PolicyBuilder:
    """As on the web, but that a client needs no further names, and what `openssl req -x509` makes will do."""
    ca = ExtensionPolicy.webpki_defaults_ca().may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    ee = ExtensionPolicy.webpki_defaults_ee()
    for lax in (x509.SubjectAlternativeName, x509.AuthorityKeyIdentifier):
        ee = ee.may_be_present(lax, Criticality.AGNOSTIC, None)
    store = Store(x509.load_pem_x509_certificates(authorities.encode()))
    return PolicyBuilder().store(store).time(at).extension_policies(ca_policy=ca, ee_policy=ee)


def _may_sign(policy: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the authority's key is not for certificates")


def _claims(certificate: x509.Certificate) -> dict[str, Any]:
    further = _further(certificate)
    first = next((f"{kind}:{value}" for kind, values in further.items() for value in values), "")
    return {
        "sub": certificate.subject.rfc4514_string() or first,
        "subject": _attributes(certificate.subject),
        "issuer": _attributes(certificate.issuer),
        "san": further,
    }


def _further(certificate: x509.Certificate) -> dict[str, list[str]]:
    """The subject's alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return {}
    return {
        "email": names.get_values_for_type(x509.RFC822Name),
        "uri": names.get_values_for_type(x509.UniformResourceIdentifier),
        "dns": names.get_values_for_type(x509.DNSName),
    }


def _attributes(name: x509.Name) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for attribute in name:
        if isinstance(attribute.value, str):
            found.setdefault(attribute.rfc4514_attribute_name, []).append(attribute.value)
    return found
