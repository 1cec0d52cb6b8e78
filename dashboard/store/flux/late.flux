// What came late: the hours since `since` whose bars count other rows than there are. `start` and `stop` enclose them;
// where nothing came late, the last minute, for an empty range is an error.

counted = (bucket, source) => from(bucket: bucket)
    |> range(start: since, stop: until)
    |> filter(fn: (r) => r._measurement == "trades" or r._measurement == "prices" or r._measurement == "latest")
    |> filter(fn: (r) => r._field == "price")
    |> aggregateWindow(every: 1h, fn: count, createEmpty: false, timeSrc: "_start")
    |> set(key: "source", value: source)
    |> keep(columns: ["_time", "_value", "exchange", "symbol", "source"])

rolled = from(bucket: rollups)
    |> range(start: since, stop: until)
    |> filter(fn: (r) => r._measurement == "rollups" and r.interval == "1m" and r._field == "count")
    |> aggregateWindow(every: 1h, fn: sum, createEmpty: false, timeSrc: "_start")
    |> map(fn: (r) => ({r with _value: -r._value}))
    |> keep(columns: ["_time", "_value", "exchange", "symbol", "source"])

differing = union(
    tables: [
        counted(bucket: trades, source: "trades"),
        counted(bucket: prices, source: "prices"),
        rolled,
    ],
)
    |> group(columns: ["_time", "exchange", "symbol", "source"])
    |> sum()
    |> filter(fn: (r) => r._value != 0)
    |> group()

earliest = (differing |> min(column: "_time") |> findRecord(fn: (key) => true, idx: 0))._time
newest = (differing |> max(column: "_time") |> findRecord(fn: (key) => true, idx: 0))._time
start = if exists earliest then earliest else date.sub(d: 1m, from: until)
stop = if exists newest then date.add(d: 1h, to: newest) else until
