"""Who may do what at the broker: one table, mosquitto/acl, docs/security.md, and what a real Mosquitto delivers."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

import aiomqtt
import pytest
from paho.mqtt.client import topic_matches_sub

from bridge.access import ACCESS, ROOTS, STORED, USERS
from bridge.brokerfiles import AclValues, folder, render_acl
from bridge.topics import REQUESTS, STATE_ROOTS, STREAM_ROOTS, Topics
from tests.broker import PASSWORDS, Broker

ROOT = Path(__file__).parents[1]
CELLS = {"read": "reads", "write": "writes", "readwrite": "both", None: "-"}
WITNESS = "witness"
Heard = set[tuple[str, str]]


class Names:
    """The patterns' names filled in, as the access list of one broker has them."""

    def __init__(self, prefix: str, discovery: str) -> None:
        self.topics = Topics(prefix)
        self.birth = f"{discovery}/status"
        own = {"prefix": self.topics.prefix, "discovery": discovery, "birth": self.birth}
        self._values = own | {role: role for role in USERS}

    def fill(self, pattern: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda found: self._values[found[1]], pattern)

    def may(self, role: str, topic: str, right: Literal["read", "write"]) -> bool:
        given = (self.fill(pattern) for pattern, rights in ACCESS[role].items() if right in rights)
        return any(topic_matches_sub(pattern, topic) for pattern in given)

    def topics_to_try(self) -> list[str]:
        """One for each pattern that anybody has, and such as belong to nobody, or to somebody else."""
        patterns = {self.fill(pattern) for rights in ACCESS.values() for pattern in rights}
        ours = {pattern.replace("+", "one").replace("#", "kucoin/BTC-USDT") for pattern in patterns}
        t = self.topics
        inside = {*map(t.request, (*REQUESTS, "unknown")), t.marker("tickbridge"), t.answers(None, "x")}
        inside |= {t.answers(role, "x") for role in (*USERS, "nobody")}
        elsewhere = {
            f"elsewhere/{t.price('kucoin', 'BTC-USDT')}",
            t.prefix + "other/x",
            "other/x",
            "$SYS/broker/uptime",
        }
        bare = {Topics().price("kucoin", "BTC-USDT"), Topics().request("backfill"), "homeassistant/sensor/x/config"}
        return sorted(ours | inside | elsewhere | bare)


def grants(text: str) -> dict[str, dict[str, str]]:
    """An access list as users with their patterns."""
    told: dict[str, dict[str, str]] = {}
    role = ""
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            role = rest.removeprefix("${").removesuffix("}")
        elif word == "topic":
            right, _, pattern = rest.partition(" ")
            assert pattern not in told.setdefault(role, {}), f"{role} has {pattern} twice"
            told[role][pattern] = right
        else:
            assert word in ("", "#"), line
    return told


def test_the_access_list_says_what_the_table_says() -> None:
    assert grants((folder() / "acl").read_text(encoding="utf-8")) == ACCESS


def test_everyone_in_the_table_has_a_name_and_a_password() -> None:
    assert set(USERS) == set(PASSWORDS)
    names = AclValues()
    assert [getattr(names, role) for role in USERS] == list(USERS)


def test_everything_that_is_published_is_read_by_those_who_read_everything() -> None:
    assert {*STREAM_ROOTS, *STATE_ROOTS} <= set(ROOTS)
    for role in ("dashboard", "homeassistant", "operator", "guest"):
        assert {f"${{prefix}}{root}/#" for root in ROOTS} <= set(ACCESS[role])


def test_telegraf_reads_what_its_configuration_stores() -> None:
    text = (ROOT / "telegraf" / "telegraf.conf").read_text(encoding="utf-8")
    assert {*re.findall(r"STORE_\w+:-(\w+)\}/\+", text), "latest"} == set(STORED), "STORE_PRICES=latest is a choice"
    assert {f"${{prefix}}{root}/#" for root in STORED} == set(ACCESS["telegraf"])


def table() -> str:
    """The table of docs/security.md: topics with the same rights share a row."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for pattern in dict.fromkeys(pattern for role in USERS for pattern in ACCESS[role]):
        rights = tuple(CELLS[ACCESS[role].get(pattern)] for role in USERS)
        groups.setdefault(rights, []).append(f"`{Names('', 'homeassistant').fill(pattern)}`")
    heads = [f"`{role}`" for role in USERS]
    rows = [["topics", *heads], ["---"] * (len(USERS) + 1)]
    rows += [[", ".join(patterns), *rights] for rights, patterns in groups.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_the_documentation_shows_the_table() -> None:
    assert table() in (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


# --- what is delivered ----------------------------------------------------------------------------------


async def until_told(messages: AsyncIterator[aiomqtt.Message], last: bytes, take: Callable[[str, str], None]) -> None:
    """Everything up to this payload."""
    async for message in messages:
        if message.payload == last:
            return
        take(str(message.topic), bytes(message.payload).decode())


async def everyone(broker: Broker, stack: AsyncExitStack) -> dict[str, aiomqtt.Client]:
    """The witness, who may do anything, and each of the others, all connected."""
    clients = {}
    for role in (WITNESS, *ACCESS):
        user, password = broker.credentials(role)
        one = aiomqtt.Client(
            broker.host, broker.port, username=user, password=password, protocol=aiomqtt.ProtocolVersion.V5
        )
        clients[role] = await stack.enter_async_context(one)
    return clients


async def publish(client: aiomqtt.Client, topics: list[str], payload: str, *, retain: bool = False) -> None:
    """All of them; the broker has decided on each when this returns."""
    await asyncio.gather(*(client.publish(topic, payload, qos=1, retain=retain) for topic in topics))


async def read(names: Names, clients: dict[str, aiomqtt.Client], topics: list[str]) -> dict[str, Heard]:
    """What each hears of what the witness publishes, before it subscribes and after: (role, topic) by kind."""
    heard: dict[str, Heard] = {"retained": set(), "live": set()}
    writer, last = clients[WITNESS], names.topics.health("last")
    await publish(writer, topics, "retained", retain=True)
    for role, client in clients.items():
        await client.subscribe([("#", 1), ("$SYS/#", 1), (f"$share/{role}/#", 1)])
    await publish(writer, topics, "live")
    await writer.publish(last, "end of reading", qos=1)
    for role, client in clients.items():

        def take(topic: str, kind: str, role: str = role) -> None:
            heard.setdefault(kind if topic in topics else "foreign", set()).add((role, topic))

        await until_told(client.messages, b"end of reading", take)
    return heard


async def written(clients: dict[str, aiomqtt.Client], topics: list[str]) -> Heard:
    """What the witness hears of what each publishes: (role, topic)."""
    heard: Heard = set()
    for role in ACCESS:
        await publish(clients[role], topics, role)
    await clients[WITNESS].publish("end", "end of writing", qos=1)
    await until_told(clients[WITNESS].messages, b"end of writing", lambda topic, role: heard.add((role, topic)))
    return {(role, topic) for role, topic in heard if role in ACCESS and topic in topics}


async def bequeathed(broker: Broker, witness: aiomqtt.Client, topics: list[str]) -> Heard:
    """What the witness hears of what each leaves as its will: (role, topic)."""
    heard: Heard = set()
    for role in ACCESS:
        for topic in topics:
            await die(broker, role, topic, role)
    await die(broker, WITNESS, "end", "end of wills")
    await until_told(witness.messages, b"end of wills", lambda topic, role: heard.add((role, topic)))
    return {(role, topic) for role, topic in heard if role in ACCESS and topic in topics}


async def die(broker: Broker, role: str, topic: str, will: str) -> None:
    """Connect, and be gone without a word, which no client library does: by MQTT 3.1.1 itself."""
    user, password = broker.credentials(role)
    texts = ("", topic, will, str(user), str(password))
    payload = b"".join(len(text.encode()).to_bytes(2) + text.encode() for text in texts)
    user_password_will_qos1_clean = 0b1100_1110
    body = b"\x00\x04MQTT\x04" + bytes([user_password_will_qos1_clean]) + (60).to_bytes(2) + payload
    length = bytes([len(body)] if len(body) < 128 else [len(body) % 128 + 128, len(body) // 128])
    reader, writer = await asyncio.open_connection(broker.host, broker.port)
    writer.write(b"\x10" + length + body)
    await reader.read(4)  # let in or not, the broker has decided
    writer.close()
    await writer.wait_closed()


@pytest.mark.real
@pytest.mark.parametrize(("prefix", "discovery"), [("", "homeassistant"), ("home/pi", "ha/found")])
async def test_each_user_hears_and_says_what_the_table_allows_and_nothing_else(
    tmp_path: Path, prefix: str, discovery: str
) -> None:
    names = Names(prefix, discovery)
    topics = names.topics_to_try()
    acl = render_acl(AclValues(prefix=prefix, discovery=discovery, birth=names.birth))
    acl += f"\nuser {WITNESS}\ntopic readwrite #\ntopic read $SYS/#\n"
    broker = Broker(tmp_path / "m", with_users=True, acl=acl, passwords={**PASSWORDS, WITNESS: "sees-all"})
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        stack.enter_context(broker)
        clients = await everyone(broker, stack)
        heard = await read(names, clients, topics)
        said = await written(clients, topics)
        left = await bequeathed(broker, clients[WITNESS], topics)
    ours = [topic for topic in topics if not topic.startswith("$SYS")]
    readable = {(role, topic) for role in ACCESS for topic in topics if names.may(role, topic, "read")}
    readable |= {(WITNESS, topic) for topic in ours}
    assert heard["retained"] == readable
    assert heard["live"] == readable
    writable = {(role, topic) for role in ACCESS for topic in topics if names.may(role, topic, "write")}
    assert said == writable
    assert left == writable, "a will is no way around"
    foreign = [(role, topic) for kind in heard.keys() - {"retained", "live"} for role, topic in heard[kind]]
    assert {role for role, _ in foreign} == {WITNESS}, "only the witness may see the broker's own figures"
