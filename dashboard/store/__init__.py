"""InfluxDB made ready for Tickbridge by influxdb-client: buckets, tokens, down-sampling. `tickbridge store` runs it."""
