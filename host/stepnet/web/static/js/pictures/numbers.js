// Numbers as numpy computes them in float32: each sum and product rounded where numpy rounds.

export const f32 = Math.fround;

export function maximum(values) {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

export function minimum(values) {
  let least = Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] < least) least = values[i];
  return least;
}

export function sum(values) {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}

/** To the nearest whole number, halves to the even one, as Python and numpy do. */
export function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The value that `rank` of the values are below, were they sorted; moves them about. */
function select(values, rank) {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let [left, right] = [low, high];
    while (left <= right) {
      while (values[left] < pivot) left++;
      while (values[right] > pivot) right--;
      if (left <= right) {
        const kept = values[left];
        values[left++] = values[right];
        values[right--] = kept;
      }
    }
    if (rank <= right) high = right;
    else if (rank >= left) low = left;
    else break;
  }
  return values[rank];
}

/** Of a Float32Array in float32, of other arrays in float64. */
export function median(values) {
  const half = values.length >> 1;
  const copy = values.slice();
  const upper = select(copy, half);
  if (values.length % 2) return upper;
  const total = select(copy, half - 1) + upper;
  return values instanceof Float32Array ? f32(f32(total) / 2) : total / 2;
}

/** numpy's linear quantile; of a Float32Array in float32, of other arrays in float64. */
export function quantile(values, part) {
  const at = (values.length - 1) * part;
  const before = Math.floor(at);
  const copy = values.slice();
  const low = select(copy, before);
  const high = select(copy, Math.min(before + 1, values.length - 1));
  const weight = at - before;
  const round = values instanceof Float32Array ? f32 : Number;
  const step = round(high - low);
  if (weight >= 0.5) return round(high - round(step * round(1 - weight)));
  return round(low + round(step * round(weight)));
}

/** `count` numbers from `start` to `stop`, evenly spaced. */
export function linspace(start, stop, count) {
  const step = (stop - start) / (count - 1);
  const numbers = Array.from({ length: count }, (_, i) => (i ? i * step : 0) + start);
  if (count > 1) numbers[count - 1] = stop;
  return numbers;
}
