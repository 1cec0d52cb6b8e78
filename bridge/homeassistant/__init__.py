"""What Home Assistant is told: which symbols, as which devices and entities, and what must be published for that. Pure.

`discovery/` talks to the broker; docs/home-assistant.md describes the entities for users.
"""
