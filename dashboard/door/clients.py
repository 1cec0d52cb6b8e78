"""Who asks, as far as an address can tell it. Pure."""

import ipaddress

from starlette.types import Scope

MOST_CHARACTERS = 64
IPV6_PREFIX = 64
"""One subscriber has at least so large a network: single addresses of it are no persons."""


def is_near(scope: Scope) -> bool:
    """Whether it is asked from this very machine (and not through a trusted proxy here, which speaks for others)."""
    client, server = scope.get("client"), scope.get("server")
    try:
        address = ipaddress.ip_address(client[0]) if client else None
    except ValueError:
        return False
    if address is None:
        return False
    return address.is_loopback or (server is not None and str(address) == server[0])


def client_key(scope: Scope) -> str:
    """What counts as one client: an IPv4 address, an IPv6 network, or whatever else there is."""
    client = scope.get("client")
    return key_of(str(client[0])[:MOST_CHARACTERS] if client else "?")


def key_of(text: str) -> str:
    """The same of an address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_link_local:  # all of a house's machines share this network
        return str(address)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
