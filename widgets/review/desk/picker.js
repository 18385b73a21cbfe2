// Finds one label among thousands by keyboard, by any part of its name or of its groups. The best fit comes first; among
// equal fits, the likeliest label. A group is opened with Enter or the right arrow, and left with the left arrow.

const PICKER_ROWS = 9

class Picker {
  constructor(choose, close) {
    this.choose = choose
    this.close = close
    this.input = node("input", "picker-input")
    this.input.type = "text"
    this.input.placeholder = "Find a label by its name, group or meaning"
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
    this.place = node("div", "quiet")
    this.panel = node("div", "picker", this.place, this.input, this.list, this.message)
    this.panel.hidden = true
    this.input.oninput = () => this.search()
    this.input.onkeydown = (event) => this.key(event)
    this.input.onblur = () => this.hide()
  }

  // `kept`: the favourites and the recent labels, which come before the likely ones; null for neither.
  open(labels, groups, likely, kept) {
    this.labels = labels
    this.groups = groups
    this.scope = []
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
    else if (event.key === "ArrowRight" && this.atEnd() && this.matches[this.marked]?.group) this.take(this.matches[this.marked])
    else if (event.key === "ArrowLeft" && !this.input.value && this.scope.length) this.enter(this.scope.slice(0, -1))
    else if (event.key === "Escape") this.hide()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  atEnd() {
    return this.input.selectionStart === this.input.value.length
  }

  enter(scope) {
    this.scope = scope
    this.input.value = ""
    this.search()
  }

  take(label) {
    if (label.group) {
      this.enter(label.path)
      return
    }
    this.hide()
    this.choose(label.id)
  }

  favour(label) {
    if (!label || label.group || !this.kept) return
    this.kept.toggle(label.id)
    this.mark(this.marked)
  }

  search() {
    const typed = inWords(this.input.value)
    const parts = typed.split(" ").filter(Boolean)
    const best = [] // the few that are shown: sorting all takes too long among 10,000
    let count = 0
    const take = (label, place) => {
      const worst = typed ? misfit(label, typed, parts) + (label.group ? 0.5 : 0) : 0
      if (worst === Infinity) return
      count += 1
      const fit = { worst, place, label }
      if (best.length === PICKER_ROWS && !isBetter(fit, best[PICKER_ROWS - 1])) return
      const index = best.findIndex((other) => isBetter(fit, other))
      best.splice(index < 0 ? best.length : index, 0, fit)
      best.length = Math.min(best.length, PICKER_ROWS)
    }
    for (const label of this.labels.values()) {
      if (isInside(label.path, this.scope)) take(label, this.rank.get(label.id) ?? Infinity)
    }
    // Of a label and a group that fit equally, the label comes first; without a word typed, the groups do.
    const groups = typed || this.scope.length ? this.groups.inside(this.scope, typed) : []
    for (const group of groups) take(group, typed ? Infinity : -1)
    this.matches = best.map(({ label }) => label)
    this.rest = count - best.length
    this.mark(0)
  }

  mark(index) {
    this.marked = Math.max(0, Math.min(index, this.matches.length - 1))
    const rows = this.matches.map((label, number) => {
      const row = label.group ? drawGroup(label) : drawFound(label)
      if (!label.group && this.kept?.sign(label.id)) row.prepend(node("span", "kept", this.kept.sign(label.id)))
      row.id = `desk-label-${number}`
      row.setAttribute("role", "option")
      row.setAttribute("aria-selected", String(number === this.marked))
      row.onmousedown = (event) => {
        event.preventDefault() // the input keeps the focus until the label is taken
        this.take(label)
      }
      return row
    })
    this.place.textContent = this.scope.length ? `In ${this.scope.join(PATH)}. The left arrow key leaves this group.` : ""
    const message = this.rest > 0 ? `${this.rest.toLocaleString()} more: keep typing` : this.matches.length ? "" : "No label fits."
    this.list.replaceChildren(...rows)
    const hint = this.kept ? "Shift and Enter add a label to the favourites, or remove it." : ""
    this.message.textContent = [message, hint].filter(Boolean).join("  \u00b7  ")
    if (rows.length) this.input.setAttribute("aria-activedescendant", `desk-label-${this.marked}`)
    else this.input.removeAttribute("aria-activedescendant")
  }
}

function isBetter(one, other) {
  if (one.worst !== other.worst) return one.worst < other.worst
  if (one.place !== other.place) return one.place < other.place
  return one.label.key < other.label.key
}

function drawFound(label) {
  const groups = label.path.length ? node("span", "quiet", `${label.path.join(PATH)}${PATH}`) : ""
  return node("div", "picker-row", groups, node("b", "", label.name), label.meaning ? ` ${label.meaning}` : "")
}

function drawGroup(group) {
  return node("div", "picker-row", "\u25b8 ", group.path.join(PATH), node("span", "quiet", ` ${group.count.toLocaleString()} labels`))
}
