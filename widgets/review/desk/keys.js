// The last layer of the desk: what a key or a button does. A key decides at once, and the outbox carries the decision
// to the store.

const UNSURE_IN_A_ROW = 5 // answers "cannot tell", after which the desk asks
const HISTORY = 500 // decided cards that Undo can bring back without asking the server

class Desk extends NotingDesk {
  constructor(root) {
    super(root)
    this.onKey = (event) => this.key(event)
    document.addEventListener("keydown", this.onKey, true)
    const actions = {
      accept: ["A", "Accept", () => this.accept(), "main"],
      reject: ["X", "Not this label", () => this.mode === "review" && this.decide("reject", this.card?.label)],
      none: ["N", "None of these", () => this.decide("none")],
      skip: ["S", "Skip", () => this.mode === "review" && this.decide("skip")],
      cannot: ["C", "Cannot tell", () => this.cannotTell()],
      undo: ["U", "Undo", () => this.undo()],
      find: ["/", "Find label", () => this.openPicker()],
      why: ["W", "Why", () => this.openReason()],
      meaning: ["M", "Meaning", (event) => this.openMeaning(event?.shiftKey)],
      guide: ["G", "Guideline", (event) => this.openGuideline(event?.shiftKey)],
      lesson: ["Y", "Make an example", () => this.teach()],
      flag: ["F", "Flag", () => this.toggleFlag()],
      history: ["H", "History", () => this.mode === "review" && this.ask("history")],
      whole: ["T", "Whole text", () => this.whole()],
      keys: ["?", "Keys", () => this.showKeys()],
      explain: ["E", "Explain", () => this.card?.explains && this.ask("explain")],
    }
    this.help = Object.values(actions).map(([key, words]) => [key, words])
    this.keys = Object.fromEntries(Object.values(actions).map(([key, , action]) => [key.toLowerCase(), action]))
    this.picker = new Picker((label) => this.relabel(label), () => this.buttons.find.focus({ preventScroll: true }))
    this.build(actions, (index) => this.number(index))
  }

  destroy() {
    document.removeEventListener("keydown", this.onKey, true)
    clearTimeout(this.timer)
  }

  key(event) {
    if (event.repeat && event.composedPath().includes(this.root) && ["Enter", " "].includes(event.key)) {
      event.preventDefault() // a key that is held counts once, also on a button
    }
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    const target = event.composedPath()[0]
    const typed = "textarea, select, input:not([type=radio], [type=checkbox])"
    if (target.isContentEditable || target.matches?.(typed)) return
    const key = event.key.toLowerCase()
    if (key === "escape" && (this.more || this.isEditing())) this.close()
    const action = this.keys[key] ?? (/^[0-9]$/.test(key) ? () => this.number((Number(key) + 9) % 10) : null)
    if (!action) return
    event.preventDefault()
    event.stopPropagation()
    if (this.isEditing()) this.goOnTyping()
    else action(event)
  }

  decide(kind, label = null) {
    const card = this.card
    if (!card) return
    if (this.hasDraft()) {
      this.goOnTyping("Nothing was decided. Save the guideline, or close it with Escape. Then decide.")
      return
    }
    this.takeOpenReason()
    this.edited = null
    const own = this.back.filter((past) => past.card.id === card.id).map((past) => past.act.id)
    const seconds = Math.round(performance.now() - this.arrived) / 1000
    const act = { id: randomName(), kind, card: card.id, label, seconds }
    if (card.audit) act.audit = card.audit
    else {
      const { proposal, seen } = card
      Object.assign(act, { text: card.id, proposal, seen, queue: this.name, reason: this.reason })
      act.own = [...own, ...(card.own ?? [])].slice(-100)
    }
    this.reason = ""
    this.newest = card.audit || kind === "skip" ? null : act.id
    this.outbox.add(act)
    this.cards.shift()
    this.back.push({ card, act })
    if (this.back.length > HISTORY) this.back.shift()
    if (kind !== "skip") {
      this.done += 1
      this.seconds.push(seconds)
    }
    this.notice = ""
    this.arrived = 0
    this.draw()
    this.pump()
  }

  undo() {
    if (this.undoMeaning()) return
    const past = this.back.pop()
    if (past?.refused) {
      this.notice = "That decision was not saved, so there is nothing to undo. Press U again for the one before."
      this.status()
      return
    }
    const act = { id: randomName(), kind: "undo" }
    this.newest = null
    if (past) {
      act.undoes = past.act.id
      past.card.own = [...(past.card.own ?? []), past.act.id, act.id]
      if (past.act.kind !== "skip") {
        this.done = Math.max(0, this.done - 1)
        this.seconds.pop()
      }
      this.comeBack(past.card)
    }
    if (this.mode === "audit") act.audit = past?.card.audit ?? null
    this.outbox.add(act)
    const label = this.labels.get(past?.act.label)?.name ?? ""
    this.notice = past ? `Undone: ${past.act.kind} ${label}`.trimEnd() : "Undoing your newest decision."
    this.draw()
    this.reason = past?.act.reason ?? ""
    this.status()
    this.pump()
  }

  // In the audit only. Its key is not that of Skip: an answer that counts as wrong must not be given by habit.
  cannotTell() {
    if (this.mode !== "audit" || !this.card) return
    const row = this.back.slice(-UNSURE_IN_A_ROW)
    const often = row.length === UNSURE_IN_A_ROW && row.every((past) => past.act.kind === "cannot tell")
    if (often && this.askedAbout !== this.card.id) {
      this.askedAbout = this.card.id
      this.notice = `You could not tell ${UNSURE_IN_A_ROW} labels in a row. Each counts as wrong. Press / to find a label, or C again to go on.`
      this.status()
      return
    }
    this.decide("cannot tell")
  }

  showKeys() {
    if (this.more?.kind === "keys") this.close()
    else {
      this.more = { kind: "keys", card: this.card?.id }
      this.drawMore(this.card)
    }
  }

  accept() {
    if (this.mode === "review") this.decide("accept", this.card?.label)
  }

  relabel(label) {
    if (this.mode === "review") this.kept().use(label)
    if (this.mode === "audit") this.decide("label", label)
    else this.decide(label === this.card?.label ? "accept" : "relabel", label)
  }

  number(index) {
    const label = this.choices()[index]
    if (label !== undefined) this.relabel(label)
  }

  choices() {
    if (!this.card) return []
    return this.mode === "audit" ? this.card.options : this.card.suggestions
  }

  kept() {
    if (this.keptIn !== this.outbox.store) this.keptLabels = new KeptLabels(this.outbox.store)
    this.keptIn = this.outbox.store
    return this.keptLabels
  }

  openPicker() {
    if (!this.card) return
    const audit = this.mode === "audit" // without a hint at what is likely
    this.picker.open(this.labels, this.groups, audit ? [] : [this.card.label, ...this.card.suggestions], audit ? null : this.kept())
  }

  ask(kind) {
    if (this.more?.kind === kind) this.close()
    else if (this.card) this.pump({ kind, card: this.card.id })
  }

  // A text that was not sent whole is asked for; a text that only does not fit gets more room.
  whole() {
    if (this.card?.cut) this.ask("whole")
    else this.textBox.classList.toggle("tall")
  }
}
