// Colours of the pictures, which follow the page's light or dark theme.

const dark = matchMedia("(prefers-color-scheme: dark)");

export const isDark = () => dark.matches;
export const onTheme = (act) => dark.addEventListener("change", act);
export const themeColour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// One turn of phase, 0 to 255, as [r, g, b]: a continuous circle of hues of even lightness.
export function hueColour(turn) {
  const angle = (2 * Math.PI * turn) / 256;
  const [middle, reach] = isDark() ? [150, 100] : [112, 88];
  return [0, 1, 2].map((k) => middle + reach * Math.cos(angle - (2 * Math.PI * k) / 3));
}

const DARK = [[18, 20, 24], [43, 38, 92], [128, 42, 122], [220, 82, 84], [252, 166, 84], [253, 240, 190]];
const LIGHT = [[255, 255, 255], [214, 226, 246], [140, 172, 228], [78, 96, 190], [72, 34, 128], [40, 8, 52]];

// [r, g, b] of each of 256 levels.
export function levelColours() {
  const stops = isDark() ? DARK : LIGHT;
  return Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    return stops[low].map((v, k) => v + (at - low) * (stops[low + 1][k] - v));
  });
}
