"""Where other machines find this one."""

import socket
from ipaddress import ip_address


def lan_address() -> str | None:
    """This machine's address on its network. Nothing is sent: connecting a datagram socket only picks a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith(("127.", "0.")) else address


def openable(scheme: str, host: str, port: int) -> list[str]:
    """What can be typed into a browser to reach who listens at this address: no browser opens 0.0.0.0."""
    try:
        address = ip_address(host)
    except ValueError:
        return [f"{scheme}://{host}:{port}/"]
    if not address.is_unspecified:
        return [f"{scheme}://{f'[{host}]' if address.version == 6 else host}:{port}/"]
    other = lan_address() or socket.gethostname()
    return [f"{scheme}://{name}:{port}/" for name in ("127.0.0.1", other)]
