"""Home Assistant on the broker: what is wanted (`home.py`), and the connection that brings it there (`link.py`)."""

from bridge.discovery.home import Home, Source
from bridge.discovery.link import Link, Ways
from bridge.discovery.shelf import Shelf

__all__ = ["Home", "Link", "Shelf", "Source", "Ways"]
