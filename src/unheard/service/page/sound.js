// What the browser knows of a recording before it is sent.

const LONGEST_LOOK_MS = 3000;

/** Length of a recording as the browser knows it, or NaN. */
export function durationOf(file) {
  const player = document.createElement('audio');
  const address = URL.createObjectURL(file);
  return new Promise((resolve) => {
    const done = () => resolve(Number.isFinite(player.duration) ? player.duration : NaN);
    player.addEventListener('loadedmetadata', done, { once: true });
    player.addEventListener('error', () => resolve(NaN), { once: true });
    setTimeout(done, LONGEST_LOOK_MS);
    player.preload = 'metadata';
    player.src = address;
  }).finally(() => {
    player.removeAttribute('src');
    player.load();
    URL.revokeObjectURL(address);
  });
}
