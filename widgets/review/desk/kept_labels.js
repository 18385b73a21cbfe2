// The labels that a person uses most: favourites, and those given last. The browser keeps them, for each project.

const RECENT = 5

class KeptLabels {
  constructor(store) {
    this.place = `${store}-labels`
    this.favourites = []
    this.recent = []
    try {
      Object.assign(this, JSON.parse(localStorage.getItem(this.place) ?? "{}"))
    } catch {
      // Nothing was kept, or nothing that can be read.
    }
  }

  use(label) {
    this.recent = [label, ...this.recent.filter((other) => other !== label)].slice(0, RECENT)
    this.keep()
  }

  toggle(label) {
    const others = this.favourites.filter((other) => other !== label)
    this.favourites = others.length < this.favourites.length ? others : [...others, label]
    this.keep()
  }

  // What the finder says beside a label.
  sign(label) {
    return this.favourites.includes(label) ? "\u2605 favourite" : this.recent.includes(label) ? "recent" : ""
  }

  keep() {
    const { favourites, recent } = this
    try {
      localStorage.setItem(this.place, JSON.stringify({ favourites, recent }))
    } catch {
      // The storage is full or closed: they last as long as the page.
    }
  }
}
