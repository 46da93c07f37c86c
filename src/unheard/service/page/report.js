// A report as the service writes it, shown in the page: both say the same, in the same words.

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

  /** The picture in a sentence, for those who do not see it. */
  picture() {
    return this.page.querySelector('svg title').textContent;
  }

  /** Put the report's sections where the page has a place for them. */
  fill(article) {
    for (const place of article.querySelectorAll('[data-from]')) {
      const section = this.page.getElementById(place.dataset.from);
      place.replaceChildren(...(section ? [document.importNode(section, true)] : []));
    }
  }
}

/** Make the times of parts in a table buttons that listen to them. */
export function makeTimesButtons(article, listen) {
  for (const cell of article.querySelectorAll('[data-start]')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = cell.textContent;
    button.title = 'Listen to this part';
    button.addEventListener('click', () => listen(Number(cell.dataset.start), Number(cell.dataset.end)));
    cell.replaceChildren(button);
  }
}

/** Hand a text to the browser as a file. */
export function save(text, name, type) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
