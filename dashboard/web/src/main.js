/** Starts the page: asks the dashboard where the broker is, and puts the parts together. */

import { Api, LoggedOut, wayIn } from "./api.js";
import { Chart } from "./chart.js";
import { Detail } from "./detail.js";
import { byId, element, mark, say } from "./dom.js";
import { ErrorsPanel } from "./errorspanel.js";
import { moment } from "./format.js";
import { GapsPanel } from "./gapspanel.js";
import { HealthView } from "./health.js";
import { UNSORTED } from "./order.js";
import { Page } from "./page.js";
import { Screen, showNotices } from "./screen.js";
import { Remembered, browserStorage } from "./store.js";
import { AUTO, SymbolView } from "./symbol.js";
import { Table } from "./table.js";
import { Watch } from "./watch.js";

const RETRY_MS = 3_000;
const TEND_MS = 1_000;
const LOOK_AGAIN_MS = 15_000;
const INTERVALS = [AUTO, "1m", "5m", "15m", "1h", "4h", "1d"];
const FIRST_SYMBOL = "BTC-USDT";
const WORDS = new Set(["symbol"]); // sorted from A to Z at the first click, numbers from the greatest

class Application {
  #api;
  #interval = AUTO;
  #lookAt = 0;
  #place;

  constructor(api, connect) {
    this.#api = api;
    this.#place = placeIn(connect);
    this.remembered = new Remembered(browserStorage());
    this.detail = new Detail();
    this.page = new Page(connect, {
      news: () => this.screen.want(),
      link: () => this.screen.slowly(),
      candle: (told) => this.symbol.hearCandle(told),
      gap: (exchange, gap) => {
        this.gaps.hear(exchange, gap);
        if (this.page.isOpenOn(exchange)) this.symbol.hearGap(gap);
      },
      trouble: (exchange, entry) => this.errors.hear(exchange, entry),
      back: () => [this.symbol, this.gaps, this.errors].forEach((part) => part.reload()),
    });
    this.gaps = new GapsPanel(api);
    this.errors = new ErrorsPanel(api, { open: () => this.page.hearErrors(true), close: () => this.page.hearErrors(false) });
    const table = new Table({
      star: (key) => this.#star(key), open: (key) => this.#choose(key),
      sort: (column) => this.#sort(table, column), moved: () => this.screen?.want(),
    });
    const health = new HealthView({ gaps: (exchange) => this.gaps.open({ exchange, state: "unsettled" }) });
    const believe = (isFresh) => chart.believe(isFresh);
    this.screen = new Screen({ api, page: this.page, table, detail: this.detail, remembered: this.remembered, health, believe });
    const chart = new Chart(byId("chart"), {
      older: () => this.symbol.older(), settled: () => this.#settled(chart), legend: (candle, gap) => this.detail.legend(candle, gap),
    });
    this.watch = new Watch(api);
    this.symbol = new SymbolView(api, chart, () => this.page.now(), (text) => say(byId("chart-note"), text));
    byId("leave").hidden = connect.login !== true;
    say(byId("instance"), connect.instance && connect.instance !== "tickbridge" ? String(connect.instance) : "");
  }

  start() {
    this.#showIntervals();
    byId("search").addEventListener("input", (event) => {
      this.screen.search = event.target.value.slice(0, 100);
      byId("scroller").scrollTop = 0;
      this.screen.want(true);
    });
    byId("finder").addEventListener("submit", (event) => event.preventDefault());
    byId("open-gaps").addEventListener("click", () => this.gaps.open({}));
    byId("open-errors").addEventListener("click", () => this.errors.open({}, this.page.feeds.exchanges));
    window.addEventListener("hashchange", () => this.#tend());
    window.addEventListener("online", () => this.page.broker.renew("a new network"));
    document.addEventListener("visibilitychange", () => document.hidden || this.#tend());
    window.setInterval(() => this.#tend(), TEND_MS);
    this.#tend();
  }

  #tend() {
    this.page.tend();
    this.watch.tend(this.page.now());
    this.#openWished();
    if (this.screen.chosen !== null) this.detail.interval(this.symbol.interval);
    const row = this.page.prices.rows.get(this.screen.chosen);
    if (row?.price && row.receipt && !this.page.isAway) this.symbol.hearPrice(row.price, row.timeS);
    this.screen.slowly();
    if (!this.page.broker.link.connected && this.page.now() > this.#lookAt) this.#lookAgain();
  }

  /** A dashboard that came back may have another broker port: then the page begins anew. */
  async #lookAgain() {
    this.#lookAt = this.page.now() + LOOK_AGAIN_MS;
    try {
      if (placeIn(await this.#api.connect()) !== this.#place) window.location.reload();
    } catch (error) {
      console.warn("tickbridge: the dashboard does not answer: %s", error);
    }
  }

  #openWished() {
    const { rows } = this.page.prices;
    const wished = keyInHash();
    if (rows.has(wished) && wished !== this.screen.chosen) this.#open(wished);
    if (this.screen.chosen !== null || rows.size === 0) return;
    const known = [...rows.values()];
    const first = known.find((row) => this.remembered.favourites.has(row.key)) ?? known.find((row) => row.symbol === FIRST_SYMBOL);
    this.#open((first ?? known[0]).key);
  }

  #choose(key) {
    window.history.replaceState(null, "", `#${key.split("/").map(encodeURIComponent).join("/")}`);
    this.#open(key);
  }

  #open(key) {
    const row = this.page.prices.rows.get(key);
    if (row === undefined) return;
    const places = this.page.steps.of(key, row.price);
    this.screen.chosen = key;
    this.page.follow(row);
    this.detail.begin(places);
    mark(byId("chart"), "aria-label", `Candles of ${row.symbol} on ${row.exchange}`);
    this.symbol.open({ exchange: row.exchange, symbol: row.symbol, interval: this.#interval }, places);
    this.screen.want();
  }

  /** The view came to rest: do its candles suit it? And where it is now, for those who cannot see it. */
  #settled(chart) {
    const isDone = this.symbol.fit();
    const row = this.page.prices.rows.get(this.screen.chosen);
    const { view } = chart;
    if (row === undefined || view === null) return isDone;
    const [from, to] = [view.fromS, view.toS].map((s) => moment(s * 1000));
    mark(byId("chart"), "aria-label", `Candles of ${row.symbol} on ${row.exchange}, ${this.symbol.interval}, ${from} to ${to}`);
    return isDone;
  }

  #star(key) {
    this.remembered.toggle(key);
    this.screen.want(true);
  }

  /** A column's first direction, the other one, and back to the order of the watchlist. */
  #sort(table, column) {
    const { column: last, descending } = this.remembered.sort;
    const first = !WORDS.has(column);
    if (column !== last) this.remembered.sort = { column, descending: first };
    else this.remembered.sort = descending === first ? { column, descending: !first } : { column: UNSORTED, descending: false };
    table.showSort(this.remembered.sort);
    this.screen.want(true);
  }

  #showIntervals() {
    const words = (interval) => (interval === AUTO ? "Auto" : interval);
    const buttons = INTERVALS.map((interval) => element("button", { type: "button", "data-interval": interval }, words(interval)));
    const press = () => buttons.forEach((one) => mark(one, "aria-pressed", String(one.dataset.interval === this.#interval)));
    byId("intervals").append(...buttons);
    byId("intervals").addEventListener("click", (event) => {
      if (!buttons.includes(event.target)) return;
      this.#interval = event.target.dataset.interval;
      press();
      if (this.screen.chosen !== null) this.#open(this.screen.chosen);
    });
    press();
  }
}

/** What tells one broker from another, as text. */
function placeIn({ mqtt, prefix }) {
  return JSON.stringify([mqtt, prefix]);
}

function keyInHash() {
  try {
    return window.location.hash.slice(1).split("/").map(decodeURIComponent).join("/");
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return "";
  }
}

async function main() {
  const api = new Api();
  for (;;) {
    try {
      new Application(api, await api.connect()).start();
      return;
    } catch (error) {
      if (error instanceof LoggedOut) {
        window.location.replace(wayIn(window.location));
        return;
      }
      console.warn("tickbridge: cannot start: %s", error);
      showNotices([{ kind: "bad", text: `The dashboard does not answer – trying again (${error.message})` }]);
    }
    await new Promise((resolve) => window.setTimeout(resolve, RETRY_MS));
  }
}

main();
