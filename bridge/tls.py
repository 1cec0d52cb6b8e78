"""The encrypted way to the broker: whose certificates count, and in people's words why it cannot be used."""

import ssl
from collections.abc import Iterator, Mapping

from bridge.errors import SettingsError
from bridge.settings import Broker

MAX_WORDS = 300
EXPIRED, NOT_YET = 10, 9
SELF_SIGNED, SELF_SIGNED_IN_CHAIN, NO_ISSUER, NO_ISSUER_AT_ALL = 18, 19, 20, 21
OTHER_NAME, OTHER_ADDRESS = 62, 64
"""OpenSSL's X509_V_ERR_…"""
UNKNOWN = "its certificate is signed by nobody known here: name the authority's certificate in broker.ca_file"
NOT_THIS = "its certificate is not signed by the authority in broker.ca_file = {ca_file}"
CLOCK = "is the clock right, there and here?"
ELSE = "its certificate is for another name: set broker.host to one that it names"
PROBLEMS: Mapping[int, str] = {
    EXPIRED: f"its certificate has expired: {CLOCK} Else it needs a new one",
    NOT_YET: f"its certificate is not valid yet: {CLOCK}",
    OTHER_NAME: ELSE,
    OTHER_ADDRESS: ELSE,
}
UNSIGNED = frozenset({SELF_SIGNED, SELF_SIGNED_IN_CHAIN, NO_ISSUER, NO_ISSUER_AT_ALL})
CUT = "the connection ends before it is encrypted: is there TLS on port {port}? Mostly it is on 8883"
WANTED = "the broker hangs, or does port {port} want encryption? Then set broker.tls = true"
SILENT = "Operation timed out"
"""aiomqtt's words where a server takes the connection and says nothing."""


def context(broker: Broker) -> ssl.SSLContext | None:
    """Verifying TLS, host name included, with the system's authorities or `ca_file`; None without `tls`.

    Raises SettingsError for a file that cannot be used.
    """
    if not broker.tls:
        return None
    try:
        return ssl.create_default_context(cafile=broker.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"broker.ca_file = {broker.ca_file}: {_unusable(error)}") from error


def words(error: BaseException, broker: Broker) -> str:
    """Why the broker cannot be used, in one line: the error's own words where they have nothing to do with TLS."""
    chain = list(_chain(error))
    told = next((found for one in chain if broker.tls and (found := _encrypted(one, broker))), None)
    if told is None and not broker.tls and str(error) == SILENT:
        told = f"{error}: {WANTED.format(port=broker.port)}"
    return (told or str(error) or type(error).__name__)[:MAX_WORDS]


def unanswered(reason: str, broker: Broker) -> str:
    """The reason why a connection ended of which the broker never said a word."""
    hint = CUT if broker.tls else WANTED
    return f"{reason}: {hint.format(port=broker.port)}"


def _encrypted(error: BaseException, broker: Broker) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return _distrusted(error, broker)
        case ssl.SSLError() | ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return CUT.format(port=broker.port)
    return None


def _distrusted(error: ssl.SSLCertVerificationError, broker: Broker) -> str:
    if error.verify_code in UNSIGNED:
        return UNKNOWN if broker.ca_file is None else NOT_THIS.format(ca_file=broker.ca_file)
    return PROBLEMS.get(error.verify_code, f"its certificate is not accepted: {error.verify_message}")


def _unusable(error: OSError) -> str:
    return "holds no certificate (PEM)" if isinstance(error, ssl.SSLError) else error.strerror or str(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it comes from: aiomqtt hides that, but does not forget it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
