"""Ends a session that an earlier version has left at the broker: what waits for it would cost memory for 14 days."""

import logging

import aiomqtt

from bridge.up.plan import LOOPBACK, Plan

log = logging.getLogger(__name__)

PATIENCE_S = 3.0


async def forget_session(plan: Plan, client_id: str) -> None:
    """Connect once under its name with a clean start. If that does not work, the broker forgets it by itself later."""
    password = plan.secrets["dashboard"].read_text(encoding="utf-8").strip()
    client = aiomqtt.Client(
        LOOPBACK,
        plan.ports.mqtt,
        username="dashboard",
        password=password,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V311,
        clean_session=True,
        timeout=PATIENCE_S,
    )
    try:
        async with client:
            log.debug("no session of %s is left", client_id)
    except aiomqtt.MqttError as error:
        log.warning("the broker may keep an old session of %s for some days: %s", client_id, error)
