/**
 * The only file that talks MQTT. A fresh client for every attempt, tried again for ever; it trusts no "connected":
 * its own pings must be answered (after a laptop's sleep no close event may ever come, MQTT.js #1761).
 */

import mqtt from "mqtt";

const PING_EVERY_MS = 10_000;
const ANSWER_WITHIN_MS = 8_000;
const CONNECT_WITHIN_MS = 7_000;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MOST_MS = 15_000;
const KEEPALIVE_S = 60; // a hidden tab's timers run once a minute
const LARGEST_PACKET = 8 * 1024 * 1024; // a whole market's catalogue is some 300 kB
const REFUSED = 128;
const SILENT = "connack timeout"; // the library's words

/**
 * @typedef {{topic: string, payload: Uint8Array, retain: boolean, expiryS?: number}} Message
 * @typedef {{connected: boolean, ever: boolean, since: Date, reason: string}} Link
 */
export class Broker {
  /** @type {Link} */ link = { connected: false, ever: false, since: new Date(), reason: "" };
  #place;
  #on;
  #now;
  #filters = new Set();
  #client = null;
  #attempts = 0;
  #retryAt = 0;
  #pingAt = 0;
  /** When we last asked for a sign of life that has not come yet. */
  #askedAt = null;

  /**
   * @param {{url: string, user?: string, password?: string}} place
   * @param {{message(message: Message): void, link(link: Link): void}} on
   * @param {() => number} now ms, by Elapsed
   */
  constructor(place, on, now) {
    this.#place = place;
    this.#on = on;
    this.#now = now;
  }

  /** @param {string[]} filters kept over reconnects */
  subscribe(filters) {
    for (const filter of filters) this.#filters.add(filter);
    if (this.link.connected) this.#ask(filters);
  }

  /** @param {string[]} filters */
  unsubscribe(filters) {
    for (const filter of filters) this.#filters.delete(filter);
    if (this.link.connected && filters.length) this.#client.unsubscribe(filters);
  }

  /** Dials, pings and gives up what does not answer. Call it about once a second. */
  tend() {
    const now = this.#now();
    if (this.#client === null) {
      if (now >= this.#retryAt) this.#dial();
    } else if (this.#askedAt !== null && now - this.#askedAt > ANSWER_WITHIN_MS) {
      this.#lose("no answer");
    } else if (this.link.connected && this.#askedAt === null && now >= this.#pingAt) {
      this.#pingAt = now + PING_EVERY_MS;
      this.#askedAt = now;
      this.#client.sendPing();
    }
  }

  /** Something makes the connection doubtful (a wake-up, a new network): start afresh at once. */
  renew(reason) {
    this.#attempts = 0;
    if (this.#client !== null) this.#lose(reason);
    this.#retryAt = 0;
    this.tend();
  }

  #dial() {
    let client;
    try {
      client = mqtt.connect(this.#place.url, options(this.#place));
    } catch (error) { // an https page and a broker without TLS: some browsers do not even let us try
      this.#wait(error.message);
      return;
    }
    this.#client = client;
    this.#askedAt = this.#now();
    const mine = (act) => (...args) => client === this.#client && act(...args);
    client.on("connect", mine(() => this.#connected()));
    client.on("packetreceive", mine(() => (this.#askedAt = null)));
    client.on("message", mine((topic, payload, packet) => this.#heard(topic, payload, packet)));
    client.on("error", mine((error) => this.#lose(error.message === SILENT ? "no answer" : error.message)));
    client.on("close", mine(() => this.#lose("")));
  }

  #connected() {
    this.#tell({ connected: true, ever: true, since: new Date(), reason: "" });
    if (this.#filters.size) this.#ask([...this.#filters]);
  }

  #ask(filters) {
    const client = this.#client;
    client.subscribe(filters, { qos: 0 }, (error, granted = []) => {
      if (client !== this.#client) return;
      const refused = granted.filter((one) => one.qos >= REFUSED).map((one) => one.topic);
      if (error && !refused.length) this.#lose(error.message);
      if (refused.length) console.warn("tickbridge: the broker refuses %s", refused.join(", "));
    });
  }

  #heard(topic, payload, packet) {
    this.#attempts = 0; // data earns a fast retry, a mere connect does not
    this.#on.message({ topic, payload, retain: packet.retain, expiryS: packet.properties?.messageExpiryInterval });
  }

  #lose(reason) {
    const client = this.#client;
    this.#client = null;
    this.#askedAt = null;
    client.on("error", () => {}); // what a dying client still says changes nothing
    client.end(true);
    this.#wait(reason);
  }

  #wait(reason) {
    const wait = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 10);
    this.#retryAt = this.#now() + wait * (0.5 + Math.random() / 2);
    const since = this.link.connected ? new Date() : this.link.since;
    const why = reason || (this.link.connected ? "" : this.link.reason);
    this.#tell({ connected: false, ever: this.link.ever, since, reason: why });
  }

  #tell(link) {
    this.link = link;
    this.#on.link(link);
  }
}

function options({ user, password }) {
  return {
    protocolVersion: 5, clean: true, properties: { sessionExpiryInterval: 0, maximumPacketSize: LARGEST_PACKET },
    clientId: `tickbridge-page-${random()}`, username: user, password,
    keepalive: KEEPALIVE_S, connectTimeout: CONNECT_WITHIN_MS, reconnectPeriod: 0, resubscribe: false, queueQoSZero: false,
    timerVariant: "native", // the other one starts a worker from a blob, which the page's policy forbids
  };
}

/** Eight hex digits; crypto.randomUUID is missing on a LAN's plain http. */
function random() {
  return [...crypto.getRandomValues(new Uint8Array(4))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
