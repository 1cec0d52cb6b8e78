"""Foreign text made harmless: what an exchange says may end up in somebody's card, message or template. Pure."""

SHOWN = 200
"""Home Assistant takes 255 characters as a state."""
SAFE = frozenset(" -.,;:/()'%+=?!@")


def harmless(text: str) -> str:
    """Letters, digits and plain punctuation of it, on one line: no markup and no template."""
    return "".join(char if char.isalnum() or char in SAFE else "\ufffd" for char in text[:SHOWN])
