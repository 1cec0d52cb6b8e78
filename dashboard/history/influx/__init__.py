"""The history in InfluxDB 2: read in Flux by influxdb-client. `InfluxHistory` is all that others need."""

from dashboard.history.influx.store import InfluxHistory

__all__ = ["InfluxHistory"]
