// A report as the service writes it, shown in the page: both say the same, in the same words.

import { made } from '/static/words.js';

const SHOWN = ['verdict', 'caution', 'picture'];

export class Report {
  constructor(html) {
    this.html = html;
    // Its style is linked by the page; inside it the page's own policy would refuse it.
    const bare = html.replace(/<style>[^]*?<\/style>/, '');
    this.page = new DOMParser().parseFromString(bare, 'text/html');
  }

  /** The case as JSON text, which the report carries. */
  json() {
    return this.page.getElementById('case').textContent;
  }

  headline() {
    return this.page.querySelector('#verdict h2').textContent;
  }

  /** The first sentence below the headline: where the recording is synthetic. */
  segments() {
    return this.page.querySelector('#verdict .segments')?.textContent ?? '';
  }

  /** The whole report, to be printed. */
  paper() {
    return document.importNode(this.page.querySelector('main'), true);
  }

  /** Put the report into the page: the answer and the drawing as they are, all else folded. */
  fill(article) {
    for (const place of article.querySelectorAll('[data-from]')) {
      const found = this.page.querySelector(place.dataset.from);
      place.replaceChildren(...(found ? [document.importNode(found, true)] : []));
    }
    const sections = [...this.page.querySelectorAll('main > section')].filter((section) => !SHOWN.includes(section.id));
    article.querySelector('#folded').replaceChildren(...sections.map(folded));
  }
}

function folded(section) {
  const inside = document.importNode(section, true);
  const title = inside.querySelector('h2');
  title.remove();
  inside.removeAttribute('id'); // the page has names of its own
  for (const details of inside.querySelectorAll('details')) details.replaceWith(...details.querySelectorAll(':scope > :not(summary)'));
  const count = section.id === 'warnings' ? inside.querySelectorAll('li').length : 0;
  const words = count ? `${title.textContent} (${count})` : title.textContent;
  return made('details', { className: 'fold' }, made('summary', { textContent: words }), inside);
}
