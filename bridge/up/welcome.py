"""What `up` says when everything runs: where the page is, and how other programs get the prices. Pure."""

from bridge.topics import Topics
from bridge.up.plan import GUEST, LOOPBACK, Plan


def welcome(plan: Plan, lan_address: str | None, log_in: str | None = None) -> str:
    """The block of lines for a person; `log_in`: the password that was made for the page, or where it is."""
    scheme = plan.settings.dashboard.scheme
    rows = [("Page", f"{scheme}://{LOOPBACK}:{plan.ports.page}")]
    if plan.lan and lan_address:
        rows.append(("on your network", f"{scheme}://{lan_address}:{plan.ports.page}"))
    if log_in:
        rows.append(("log-in to the page", f"password {log_in}"))
    host = lan_address if plan.lan and lan_address else LOOPBACK
    rows += _broker(plan, host)
    rows.append(("for other clients", f"user {GUEST}, password {plan.guest}   (may only read)"))
    rows += [("Try", _try(plan, host)), ("Data", str(plan.data_dir)), ("Stop", "Ctrl-C")]
    title = "Tickbridge demo: invented prices, no network" if plan.demo else "Tickbridge is up"
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {text}" for name, text in rows]
    return "\n".join(["", f"  {title}", "", *lines, ""])


def _broker(plan: Plan, host: str) -> list[tuple[str, str]]:
    """With TLS the port without is on this machine only."""
    websockets = f"   (websockets: {plan.ports.websocket})"
    if not plan.ports.mqtts:
        return [("MQTT", f"{host}:{plan.ports.mqtt}{websockets}")]
    return [
        ("MQTT over TLS", f"{host}:{plan.ports.mqtts}{websockets}"),
        ("MQTT", f"{LOOPBACK}:{plan.ports.mqtt}   (this machine only)"),
    ]


def _try(plan: Plan, host: str) -> str:
    """Where other machines are let in, a line that works there, too; with TLS it would need the authority's file."""
    topic = Topics(plan.settings.prefix).latest("kucoin", "BTC-USDT")
    at = f"-h {host} " if host != LOOPBACK and not plan.ports.mqtts else ""
    return f"mosquitto_sub {at}-p {plan.ports.mqtt} -u {GUEST} -P {plan.guest} -t {topic} -v"


def moved(wished: dict[str, int], found: dict[str, int]) -> list[str]:
    """One line for every port that was taken."""
    return [
        f"port {wished[name]} ({name}) is taken by another program: {port} is used"
        for name, port in found.items()
        if wished[name] not in (0, port)
    ]
