/** Index of the first item for which `key(item) > value`, in items sorted by `key`. */
export function upperBound<T>(items: readonly T[], value: number, key: (item: T) => number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (key(items[middle] as T) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Index of the first item for which `key(item) >= value`, in items sorted by `key`. */
export function lowerBound<T>(items: ArrayLike<T>, value: number, key: (item: T) => number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (key(items[middle] as T) >= value) high = middle;
    else low = middle + 1;
  }
  return low;
}
