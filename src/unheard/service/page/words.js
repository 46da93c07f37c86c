// Times, names and numbers as people write them, and files to keep.

/** A time as people write it: 0:04, 0:04.5, 1:02:03. */
export function clock(seconds) {
  const tenths = Math.round(10 * Math.max(0, seconds));
  const rest = tenths % 600;
  const minutes = Math.floor(tenths / 600) % 60;
  const hours = Math.floor(tenths / 36000);
  const second = `${Math.floor(rest / 10)}`.padStart(2, '0') + (rest % 10 ? `.${rest % 10}` : '');
  return hours ? `${hours}:${`${minutes}`.padStart(2, '0')}:${second}` : `${minutes}:${second}`;
}

/** A span of hours or minutes: "10 minutes". */
export function lasting(seconds) {
  const [count, unit] = seconds >= 3600 ? [seconds / 3600, 'hour'] : [seconds / 60, 'minute'];
  return `${Number(count.toFixed(1))} ${unit}${count === 1 ? '' : 's'}`;
}

export function signed(score) {
  return score === null ? 'none' : `${score < 0 ? '\u2212' : '+'}${Math.abs(score).toFixed(2)}`;
}

/** Make an element with properties and children. */
export function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Hand a text to the browser as a file. */
export function save(text, name, type) {
  const link = made('a', { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
