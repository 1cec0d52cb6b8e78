"""`/api/v1/stream`: topics over a websocket, for programs without MQTT. One subscription at the broker serves all."""
