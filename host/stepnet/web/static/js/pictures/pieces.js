// The connected pieces of a mask, as stepnet.pictures.pieces finds them.

/** Pieces touch at edges or corners, and are numbered from 1 in the order of their first pixel, row
 *  by row.
 *
 *  labels: Int32Array, the number of the piece that a pixel belongs to, 0 outside of the mask.
 *  boxes, areas: of each piece, the one of number 1 first; a box is [left, top, right, bottom], the
 *  last two just outside. */
export function label({ width, height, data }) {
  const runs = runsOf(width, height, data);
  const roots = joined(runs);
  const numbers = new Int32Array(roots.length);
  const labels = new Int32Array(data.length);
  const boxes = [];
  const areas = [];
  for (let run = 0; run < roots.length; run++) {
    const [y, start, end] = [runs.rows[run], runs.starts[run], runs.ends[run]];
    const root = roots[run];
    if (root === run) {
      boxes.push([start, y, end, y + 1]);
      areas.push(0);
      numbers[run] = boxes.length;
    }
    const number = numbers[root];
    const box = boxes[number - 1];
    box[0] = Math.min(box[0], start);
    box[2] = Math.max(box[2], end);
    box[3] = y + 1;
    areas[number - 1] += end - start;
    labels.fill(number, y * width + start, y * width + end);
  }
  return { width, height, labels, boxes, areas };
}

/** Rows, starts and ends of the pixels of each row from one edge of the mask to the next, in reading
 *  order; `firstOf` has for each row the first run that is not above it. */
function runsOf(width, height, data) {
  const [rows, starts, ends, firstOf] = [[], [], [], []];
  for (let y = 0; y < height; y++) {
    firstOf.push(rows.length);
    const row = y * width;
    for (let x = 0; x < width; x++) {
      if (!data[row + x]) continue;
      const start = x;
      while (x < width && data[row + x]) x++;
      rows.push(y);
      starts.push(start);
      ends.push(x);
    }
  }
  firstOf.push(rows.length);
  return { rows, starts, ends, firstOf };
}

/** The first run of the piece that each run belongs to. */
function joined({ rows, starts, ends, firstOf }) {
  const root = Int32Array.from(rows.keys());
  const rootOf = (run) => {
    while (root[run] !== run) {
      root[run] = root[root[run]];
      run = root[run];
    }
    return run;
  };
  for (let y = 1; y < firstOf.length - 1; y++) {
    let above = firstOf[y - 1];
    for (let run = firstOf[y]; run < firstOf[y + 1]; run++) {
      while (above < firstOf[y] && ends[above] < starts[run]) above++;
      for (let upper = above; upper < firstOf[y] && starts[upper] <= ends[run]; upper++) {
        const [one, other] = [rootOf(run), rootOf(upper)];
        if (one < other) root[other] = one;
        else root[one] = other;
      }
    }
  }
  return root.map((_, run) => rootOf(run));
}

/** 1 on the pixels of the pieces whose entry of `which` is true. */
export function pixelsOf({ width, height, labels }, which) {
  const data = new Uint8Array(labels.length);
  for (let i = 0; i < labels.length; i++) data[i] = labels[i] && which[labels[i] - 1] ? 1 : 0;
  return { width, height, data };
}

/** A picture with 0 on the pieces whose entry of `which` is true. */
export function without({ width, height, data }, { labels }, which) {
  if (!which.some(Boolean)) return { width, height, data };
  const kept = data.slice();
  for (let i = 0; i < kept.length; i++) if (labels[i] && which[labels[i] - 1]) kept[i] = 0;
  return { width, height, data: kept };
}

/** The greatest value and the sum of the values within each piece. */
export function measured({ data }, { labels, areas }) {
  const peaks = new Float32Array(areas.length);
  const weights = new Float64Array(areas.length);
  for (let i = 0; i < labels.length; i++) {
    if (!labels[i]) continue;
    const piece = labels[i] - 1;
    if (data[i] > peaks[piece]) peaks[piece] = data[i];
    weights[piece] += data[i];
  }
  return { peaks, weights };
}

/** The mean width of a mask's strokes: twice its area over its outline. */
export function strokeWidth({ width, height, data }) {
  let area = 0;
  let outline = 0;
  for (let y = 0; y < height; y++) {
    let before = 0;
    for (let x = 0, i = y * width; x < width; x++, i++) {
      const here = data[i];
      area += here;
      outline += here ^ before;
      outline += here ^ (y ? data[i - width] : 0);
      before = here;
    }
    outline += before;
  }
  for (let i = (height - 1) * width; i < data.length; i++) outline += data[i];
  return (2 * area) / outline;
}
