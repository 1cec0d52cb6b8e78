/** Shaded bands on the chart where something is missing: a primitive of lightweight-charts. */

const NARROWEST = 3; // px: a short gap must still be seen

export class Shade {
  #bands = [];
  #colour = "transparent";
  #chart = null;
  #redraw = () => {};
  #view = { zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.#draw(target) }) };

  /** Called by the series. */
  attached({ chart, requestUpdate }) {
    this.#chart = chart;
    this.#redraw = requestUpdate;
  }

  detached() {
    this.#chart = null;
  }

  paneViews() {
    return [this.#view];
  }

  /** @param {{fromS: number, toS: number, words: string}[]} bands times of slots, s @param {string} colour */
  show(bands, colour) {
    this.#bands = bands;
    this.#colour = colour;
    this.#redraw();
  }

  /** The band at a time, if any. @param {number} timeS */
  at(timeS) {
    return this.#bands.find((band) => band.fromS <= timeS && timeS <= band.toS) ?? null;
  }

  #draw(target) {
    if (this.#chart === null) return;
    const scale = this.#chart.timeScale();
    const half = scale.options().barSpacing / 2;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio: ratio }) => {
      context.fillStyle = this.#colour;
      for (const { fromS, toS } of this.#bands) {
        const [from, to] = [scale.timeToCoordinate(fromS), scale.timeToCoordinate(toS)];
        if (from === null || to === null) continue;
        const width = Math.max(NARROWEST, to - from + 2 * half);
        context.fillRect((from - half) * ratio, 0, width * ratio, bitmapSize.height);
      }
    });
  }
}
