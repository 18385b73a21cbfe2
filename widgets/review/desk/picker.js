// Finds one label among thousands by keyboard. The best fit comes first; among equal fits, the likeliest label.

const PICKER_ROWS = 9

class Picker {
  constructor(choose, close) {
    this.choose = choose
    this.close = close
    this.input = node("input", "picker-input")
    this.input.type = "text"
    this.input.placeholder = "Find a label by its name or meaning"
    this.input.setAttribute("aria-label", "Find a label")
    this.input.setAttribute("role", "combobox")
    this.input.setAttribute("aria-autocomplete", "list")
    this.input.setAttribute("aria-controls", "desk-labels")
    this.input.setAttribute("aria-expanded", "false")
    this.input.autocomplete = "off"
    this.input.spellcheck = false
    this.list = node("div", "picker-list")
    this.list.id = "desk-labels"
    this.list.setAttribute("role", "listbox")
    this.list.setAttribute("aria-label", "Labels that fit")
    this.message = node("div", "quiet")
    this.message.setAttribute("aria-live", "polite")
    this.panel = node("div", "picker", this.input, this.list, this.message)
    this.panel.hidden = true
    this.input.oninput = () => this.search()
    this.input.onkeydown = (event) => this.key(event)
    this.input.onblur = () => this.hide()
  }

  // `kept`: the favourites and the recent labels, which come before the likely ones; null for neither.
  open(labels, likely, kept) {
    this.labels = labels
    this.kept = kept
    const first = kept ? [...kept.favourites, ...kept.recent, ...likely] : likely
    this.rank = new Map([...new Set(first)].map((label, index) => [label, index]))
    this.input.value = ""
    this.panel.hidden = false
    this.input.setAttribute("aria-expanded", "true")
    this.search()
    this.input.focus({ preventScroll: true })
  }

  hide() {
    if (this.panel.hidden) return
    this.panel.hidden = true
    this.input.setAttribute("aria-expanded", "false")
    this.close()
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) this.mark(this.marked + step)
    else if (event.key === "Enter" && event.shiftKey) this.favour(this.matches[this.marked])
    else if (event.key === "Enter" && this.matches.length) this.take(this.matches[this.marked])
    else if (event.key === "Escape") this.hide()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  take(label) {
    this.hide()
    this.choose(label.id)
  }

  favour(label) {
    if (!label || !this.kept) return
    this.kept.toggle(label.id)
    this.mark(this.marked)
  }

  search() {
    const typed = inWords(this.input.value)
    const fits = []
    for (const label of this.labels.values()) {
      const worst = typed ? misfit(label, typed) : 0
      if (worst < Infinity) fits.push([worst, this.rank.get(label.id) ?? Infinity, label])
    }
    fits.sort((a, b) => a[0] - b[0] || (a[1] === b[1] ? 0 : a[1] - b[1]) || (a[2].key < b[2].key ? -1 : 1))
    this.matches = fits.slice(0, PICKER_ROWS).map(([, , label]) => label)
    this.rest = fits.length - this.matches.length
    this.mark(0)
  }

  mark(index) {
    this.marked = Math.max(0, Math.min(index, this.matches.length - 1))
    const rows = this.matches.map((label, number) => {
      const row = node("div", "picker-row", node("b", "", label.name), label.meaning ? ` ${label.meaning}` : "")
      if (this.kept?.sign(label.id)) row.prepend(node("span", "kept", this.kept.sign(label.id)))
      row.id = `desk-label-${number}`
      row.setAttribute("role", "option")
      row.setAttribute("aria-selected", String(number === this.marked))
      row.onmousedown = (event) => {
        event.preventDefault() // the input keeps the focus until the label is taken
        this.take(label)
      }
      return row
    })
    const message = this.rest > 0 ? `${this.rest.toLocaleString()} more: keep typing` : this.matches.length ? "" : "No label fits."
    this.list.replaceChildren(...rows)
    const hint = this.kept ? "Shift and Enter make a label a favourite, or no longer one." : ""
    this.message.textContent = [message, hint].filter(Boolean).join("  \u00b7  ")
    if (rows.length) this.input.setAttribute("aria-activedescendant", `desk-label-${this.marked}`)
    else this.input.removeAttribute("aria-activedescendant")
  }
}
