"""Requests of others: what is in the ledger, which gaps there are, send this again, this is lost, this was found."""

from bridge.requests.client import Requests
from bridge.requests.desk import Desk

__all__ = ["Desk", "Requests"]
