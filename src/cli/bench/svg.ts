/** Charts as SVG, for light and dark pages. */

const WIDTH = 760;
const INK = '#6b7280';
const COLOURS = ['#2563eb', '#d97706', '#059669', '#dc2626', '#7c3aed', '#0891b2'] as const;
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';

function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);
}

function text(x: number, y: number, value: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${INK}" ${attributes}>${escapeText(value)}</text>`;
}

function page(height: number, title: string, body: readonly string[]): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" ${FONT}>`;
  return [
    head,
    `<title>${escapeText(title)}</title>`,
    text(12, 20, title, 'font-weight="bold" font-size="14"'),
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

/** A number with a unit's prefix: 1200000 is 1.2M. */
export function short(value: number): string {
  for (const [size, letter] of [
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${letter}`;
  }
  return String(Number(value.toPrecision(3)));
}

export interface Bar {
  readonly label: string;
  /** One for each series; null where there is none. */
  readonly values: readonly (number | null)[];
}

const BAR_HEIGHT = 13;
const LABEL_WIDTH = 250;

/** Horizontal bars on a logarithmic scale, in groups. */
export function barChart(title: string, series: readonly string[], bars: readonly Bar[]): string {
  const numbers = bars.flatMap((bar) => bar.values.filter((v): v is number => v !== null && v > 0));
  const low = Math.floor(Math.log10(Math.min(...numbers, 1)));
  const high = Math.ceil(Math.log10(Math.max(...numbers, 1)));
  const span = Math.max(1, high - low);
  const at = (value: number) => LABEL_WIDTH + ((Math.log10(value) - low) / span) * (WIDTH - LABEL_WIDTH - 60);
  const step = BAR_HEIGHT * series.length + 8;
  const top = 52;
  const bottom = top + bars.length * step;
  const body: string[] = [];
  series.forEach((name, i) => {
    body.push(
      `<rect x="${LABEL_WIDTH + i * 150}" y="28" width="10" height="10" fill="${COLOURS[i % COLOURS.length]}"/>`,
    );
    body.push(text(LABEL_WIDTH + 15 + i * 150, 37, name));
  });
  for (let power = low; power <= high; power++) {
    const x = at(10 ** power);
    body.push(
      `<line x1="${x}" y1="${top - 6}" x2="${x}" y2="${bottom}" stroke="${INK}" stroke-opacity="0.3"/>`,
    );
    body.push(text(x, bottom + 14, String(10 ** power), 'text-anchor="middle"'));
  }
  bars.forEach((bar, row) => {
    const y = top + row * step;
    body.push(text(LABEL_WIDTH - 8, y + (step - 8) / 2 + 4, bar.label, 'text-anchor="end"'));
    bar.values.forEach((value, i) => {
      if (value === null || value <= 0) return;
      const barY = y + i * BAR_HEIGHT;
      const width = Math.max(1, at(value) - LABEL_WIDTH);
      body.push(
        `<rect x="${LABEL_WIDTH}" y="${barY}" width="${width.toFixed(1)}" height="${BAR_HEIGHT - 2}" fill="${COLOURS[i % COLOURS.length]}"/>`,
      );
      body.push(text(LABEL_WIDTH + width + 4, barY + 10, value.toPrecision(2), 'font-size="11"'));
    });
  });
  return page(bottom + 26, title, body);
}

export interface Line {
  readonly label: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/** Lines over two logarithmic axes. */
export function lineChart(title: string, xTitle: string, yTitle: string, lines: readonly Line[]): string {
  const height = 330;
  const box = { left: 60, right: WIDTH - 20, top: 60, bottom: height - 42 };
  const points = lines.flatMap((line) => line.points).filter((point) => point.x > 0 && point.y > 0);
  const range = (values: readonly number[]) => {
    const low = Math.floor(Math.log10(Math.min(...values)));
    const high = Math.ceil(Math.log10(Math.max(...values)));
    return { low, high: Math.max(high, low + 1) };
  };
  const x = range(points.map((point) => point.x));
  const y = range(points.map((point) => point.y));
  const atX = (value: number) =>
    box.left + ((Math.log10(value) - x.low) / (x.high - x.low)) * (box.right - box.left);
  const atY = (value: number) =>
    box.bottom - ((Math.log10(value) - y.low) / (y.high - y.low)) * (box.bottom - box.top);
  const body: string[] = [];
  for (let power = x.low; power <= x.high; power++) {
    const at = atX(10 ** power);
    body.push(
      `<line x1="${at}" y1="${box.top}" x2="${at}" y2="${box.bottom}" stroke="${INK}" stroke-opacity="0.2"/>`,
    );
    body.push(text(at, box.bottom + 15, short(10 ** power), 'text-anchor="middle"'));
  }
  for (let power = y.low; power <= y.high; power++) {
    const at = atY(10 ** power);
    body.push(
      `<line x1="${box.left}" y1="${at}" x2="${box.right}" y2="${at}" stroke="${INK}" stroke-opacity="0.2"/>`,
    );
    body.push(text(box.left - 6, at + 4, short(10 ** power), 'text-anchor="end"'));
  }
  body.push(
    text((box.left + box.right) / 2, height - 10, xTitle, 'text-anchor="middle"'),
    text(12, box.top - 8, yTitle),
  );
  let labelX = box.left;
  lines.forEach((line, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const path = line.points
      .filter((p) => p.x > 0 && p.y > 0)
      .map((p) => `${atX(p.x).toFixed(1)},${atY(p.y).toFixed(1)}`);
    body.push(`<polyline points="${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const place of path) {
      const [cx, cy] = place.split(',');
      body.push(`<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`);
    }
    body.push(
      `<rect x="${labelX}" y="30" width="10" height="10" fill="${colour}"/>`,
      text(labelX + 14, 39, line.label, 'font-size="11"'),
    );
    labelX += 26 + line.label.length * 6.2;
  });
  return page(height, title, body);
}
