// The second layer of the desk: everything that is drawn.

class DrawnDesk extends DeskMessages {
  // Makes the fixed elements. `actions`: a name, and the key, the words, the function and the class of its button.
  build(actions, choose) {
    const button = (key, words, action, className = "") => {
      const element = node("button", className, node("kbd", "", key), node("span", "", words))
      element.type = "button"
      element.onclick = action
      return element
    }
    this.buttons = Object.fromEntries(Object.entries(actions).map(([name, spec]) => [name, button(...spec)]))
    for (const [name, element] of Object.entries(this.buttons)) element.dataset.act = name
    this.numbers = Array.from({ length: 10 }, (_, index) => button(String((index + 1) % 10), "", () => choose(index)))
    this.buildNote()
    this.line = node("div", "line")
    this.noticeBox = node("div", "notice")
    this.noticeBox.setAttribute("aria-live", "polite")
    this.textBox = node("div", "text-box")
    this.sideBox = node("div", "face")
    const over = node("div", "over", this.picker.panel, this.notePanel, this.guidePanel) // over the card: its text stays in sight
    const { accept, reject, none, skip, cannot, undo, find, why, guide, lesson } = this.buttons
    const { meaning, flag, history, whole, explain, keys } = this.buttons
    this.spoken = node("div", "spoken") // for screen readers: what comes next
    this.spoken.setAttribute("aria-live", "polite")
    this.below = node("div", "below")
    this.root.replaceChildren(
      node("div", "top", this.line, this.noticeBox), this.textBox, over, this.sideBox,
      node("div", "row", accept, reject, none, skip, cannot, undo),
      node("div", "row numbers", ...this.numbers),
      node("div", "row small", find, why, lesson, meaning, guide, flag, history, whole, explain, keys), this.below, this.spoken,
    )
  }

  buildNote() {
    this.noteInput = node("input", "note-input")
    this.noteInput.type = "text"
    this.noteInput.onkeydown = (event) => this.noteKey(event)
    this.noteHint = node("div", "quiet")
    this.notePanel = node("div", "note", this.noteInput, this.noteHint)
    this.notePanel.hidden = true
    this.guidePanel = node("div", "note guide")
    this.guidePanel.hidden = true
  }

  draw() {
    const card = this.card
    const shown = card ? `${this.queue} ${card.id} ${card.seen} ${card.decided} ${card.flag}` : ""
    if (shown !== this.shown || !card) {
      const another = this.drawn !== card?.id
      this.shown = shown
      this.drawn = card?.id
      this.more = this.more?.card === card?.id ? this.more : null
      if (another) {
        this.notePanel.hidden = true
        this.reason = ""
        this.arrived = performance.now()
      }
      this.drawFace(card)
      this.drawButtons(card)
      if (another && card) this.showText()
    }
    if (!this.arrived) this.arrived = performance.now()
    this.drawMore(card)
    this.status()
  }

  drawFace(card) {
    this.textBox.classList.remove("tall")
    if (!card) {
      const waits = this.rest > 0 || this.inflight || this.outbox.acts.length > 0
      const words = waits ? "Loading the next cards\u2026" : this.done ? "All cards here are done." : this.empty
      this.textBox.replaceChildren()
      this.sideBox.replaceChildren(node("div", "empty", words))
      return
    }
    this.textBox.replaceChildren(drawFacts(card), drawText(card))
    const suggested = this.mode === "audit" ? "" : ` Suggested label: ${this.labels.get(card.label).name}.`
    this.spoken.textContent = `Next text: ${card.content.slice(0, 300)}.${suggested}`
    if (this.mode === "audit") {
      const question = "Which label is right? The machine's label is hidden, and the labels stand in random order."
      this.sideBox.replaceChildren(node("div", "quiet", question))
    } else {
      this.sideBox.replaceChildren(node("div", "sides", ...drawSides(card, this.labels, this.common)))
    }
  }

  drawButtons(card) {
    const audit = this.mode === "audit"
    const { accept, reject, none, skip, cannot, find, why, meaning, guide, lesson, flag, history, whole, explain } = this.buttons
    for (const element of [accept, reject, skip, why, meaning, guide, lesson, flag, history]) element.hidden = audit
    cannot.hidden = !audit
    for (const element of [accept, reject, none, skip, cannot, find, why, meaning, guide, flag, history]) element.disabled = !card
    lesson.disabled = !this.newest
    flag.lastChild.textContent = card?.flag ? "Remove the flag" : "Flag"
    const text = this.textBox.lastChild
    whole.hidden = !card || !(card.cut || text.scrollHeight > text.clientHeight + 2)
    explain.hidden = !card?.explains
    const suggested = card && !audit ? this.labels.get(card.label).name : ""
    const against = { valid: ["", " (the judge said valid)"], invalid: [" (the judge said invalid)", ""] }[card?.outcome]
    accept.lastChild.textContent = `Accept${suggested && `: ${suggested}`}${against?.[0] ?? ""}`
    reject.lastChild.textContent = `Not this label${against?.[1] ?? ""}`
    const likelier = card && !audit && (card.rivalBelief ?? 0) > (card.belief ?? 0)
    const sure = Math.max(card?.rivalBelief ?? 0, card?.belief ?? 0) >= 0.5
    accept.classList.toggle("main", Boolean(sure && !likelier))
    const choices = this.choices()
    this.numbers.forEach((element, index) => {
      const label = this.labels.get(choices[index])
      element.hidden = !label
      element.classList.toggle("main", Boolean(sure && likelier && choices[index] === card.rival))
      element.classList.toggle("wide", audit)
      const meaning = audit && label?.meaning ? node("span", "quiet", ` ${label.meaning}`) : ""
      if (label) element.lastChild.replaceChildren(label.name, meaning)
    })
    if (card?.cut) whole.lastChild.textContent = `Whole text, ${card.size.toLocaleString()} characters`
    else whole.lastChild.textContent = "Whole text"
  }

  // Draws the guideline over the card; the history, the whole text or the explanation below it.
  drawMore(card) {
    const more = this.more && card && this.more.card === card.id ? this.more : null
    if (more && more === this.drawnMore) return // what is being typed stays
    this.drawnMore = more
    this.guidePanel.hidden = !more?.kind.endsWith("guideline")
    this.guidePanel.replaceChildren()
    this.below.replaceChildren()
    if (!more) return
    if (!this.guidePanel.hidden) {
      const label = this.labels.get(more.label)
      const save = (words, excludes) => {
        this.close()
        this.saveMeaning(label, words, excludes)
      }
      this.guidePanel.replaceChildren(...drawGuideline(label, more.examples, save, () => this.close()))
      this.reveal(this.guidePanel)
      this.guidePanel.querySelector("textarea").focus({ preventScroll: true })
    } else if (more.kind === "keys") {
      const shown = this.help.filter(([, words]) => words !== (this.mode === "audit" ? "Skip" : "Cannot tell"))
      const rows = [...shown, ["1-9", "Give the label with this number"], ["Esc", "Close what is open"]]
      const lines = rows.map(([key, words]) => node("div", "event", node("kbd", "", key), node("span", "", words)))
      this.below.replaceChildren(node("b", "", "Keys"), ...lines)
      this.reveal(this.below)
    } else if (more.kind === "history") {
      const rows = more.rows.map(([at, who, what]) =>
        node("div", "event", node("span", "quiet", `${at}  ${who}`), node("span", "", what)),
      )
      this.below.replaceChildren(node("b", "", "What happened to this text"), ...rows)
      this.reveal(this.below)
    } else {
      const words = node("div", "said", more.words)
      words.dir = "auto"
      this.below.replaceChildren(node("b", "", more.title), words)
      this.reveal(this.below)
    }
  }

  // Scrolls to something that opened; `showText` scrolls back.
  reveal(element) {
    this.scrolled ??= this.pageAround()
    element.scrollIntoView({ block: "nearest" })
  }

  // Scrolls back to where the page was before something opened, and further if the text of the card is out of sight.
  showText() {
    if (this.scrolled) this.scrolled.page.scrollTop = this.scrolled.top
    this.scrolled = null
    this.textBox.scrollIntoView({ block: "nearest" })
  }

  pageAround() {
    let page = this.root.getRootNode().host
    while (page.parentElement && !/auto|scroll/.test(getComputedStyle(page).overflowY)) page = page.parentElement
    return { page, top: page.scrollTop }
  }

  status() {
    const middle = [...this.seconds].sort((a, b) => a - b)[Math.floor(this.seconds.length / 2)]
    const left = this.cards.length + (this.rest ?? 0)
    const waits = this.outbox.acts.length
    const facts = [
      `${this.done.toLocaleString()} decided here`,
      this.seconds.length < 5 ? "" : `${middle.toFixed(1)} s each`,
      this.mode === "review" ? `${left.toLocaleString()} left` : "",
      this.reason ? `reason: ${this.reason.slice(0, 40)}` : "",
    ]
    const unsaved = waits === 1 ? "1 decision is not saved yet" : `${waits} decisions are not saved yet`
    const saved = waits && this.late ? `${unsaved}. Do not close this tab.` : waits ? "saving\u2026" : "all saved"
    this.line.replaceChildren(node("span", "", facts.filter(Boolean).join("  \u00b7  ")), node("span", "saved", saved))
    const decided = this.card?.decided ? `Decided: ${this.card.decided}. Another decision replaces it.` : ""
    this.noticeBox.textContent = this.notice || decided
  }
}
