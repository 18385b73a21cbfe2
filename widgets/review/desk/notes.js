// The third layer of the desk: what is typed about a card. A reason goes with the next decision; the meaning of a label
// and a flag for a colleague are sent at once.

const LONGEST_NOTE = 2000
const LONGEST_MEANING = 4000

class NotingDesk extends DrawnDesk {
  // Opens the line over the card. `take` gets what was typed.
  openNote(words, hint, take, longest = LONGEST_NOTE) {
    this.take = take
    this.noteInput.maxLength = longest
    this.noteInput.value = words
    this.noteInput.setAttribute("aria-label", hint)
    this.noteHint.textContent = `${hint} Enter saves it, Escape closes without saving.`
    this.notePanel.hidden = false
    this.noteInput.focus({ preventScroll: true })
  }

  closeNote() {
    if (this.notePanel.hidden) return
    this.notePanel.hidden = true
    this.buttons.why.focus({ preventScroll: true })
  }

  noteKey(event) {
    if (event.key !== "Enter" && event.key !== "Escape") return
    event.preventDefault()
    event.stopPropagation()
    const words = this.noteInput.value.trim()
    this.closeNote()
    if (event.key === "Enter") this.take(words)
    this.status()
  }

  // The guideline of the left label; with Shift, of the right one. It opens before the server has sent its examples: keys
  // that are typed meanwhile would decide cards.
  openGuideline(right = false) {
    if (!this.card || this.mode !== "review") return
    const kind = right ? "rival guideline" : "guideline"
    if (this.more?.kind === kind) {
      this.close()
      return
    }
    const examples = node("div", "quiet", "Loading the examples\u2026")
    this.more = { kind, card: this.card.id, label: right ? this.card.rival : this.card.label, examples }
    this.drawMore(this.card)
    this.pump({ kind, card: this.card.id })
  }

  // A key of the desk, pressed outside of the open field: it decides nothing, and the field gets the focus.
  goOnTyping(notice = "The key did nothing, because a field is open. Escape closes the field.") {
    const field = this.notePanel.hidden ? this.guidePanel.querySelector("textarea") : this.noteInput
    field?.focus({ preventScroll: true })
    this.notice = notice
    this.status()
  }

  // Whether the open guideline has words that are not saved: a button that decides would lose them.
  hasDraft() {
    if (this.guidePanel.hidden) return false
    const { meaning, excludes } = this.labels.get(this.more.label)
    const typed = [...this.guidePanel.querySelectorAll("textarea")].map((field) => field.value.trim())
    return typed[0] !== meaning.trim() || typed[1] !== excludes.trim()
  }

  // Closes the line, or else what is open over or below the card.
  close() {
    if (!this.notePanel.hidden) {
      this.closeNote()
      return
    }
    if (!this.guidePanel.hidden) this.buttons.guide.focus({ preventScroll: true })
    this.more = null
    this.drawMore(this.card)
    this.showText()
  }

  openReason() {
    if (!this.card || this.mode !== "review") return
    this.keepReason ??= (words) => (this.reason = words)
    this.openNote(this.reason, "Why? The reason is stored with your decision on this card.", this.keepReason)
  }

  // A button that decides, pressed while the reason is still open.
  takeOpenReason() {
    if (!this.notePanel.hidden && this.take === this.keepReason) this.reason = this.noteInput.value.trim()
  }

  // The meaning of the left label; with Shift, of the right one.
  openMeaning(right = false) {
    if (!this.card || this.mode !== "review") return
    const label = this.labels.get(right ? this.card.rival : this.card.label)
    this.openNote(label.meaning, `Meaning of ${label.name}.`, (words) => this.saveMeaning(label, words), LONGEST_MEANING)
  }

  saveMeaning(label, words, excludes = label.excludes) {
    if (words === label.meaning && excludes === label.excludes) return
    this.edited = { meaning_of: label.id, words, excludes }
    this.outbox.add({ id: randomName(), ...this.edited, seen: label.meaningId })
    label.meaning = words
    label.meaningKey = words.toLowerCase()
    label.excludes = excludes
    this.more = null
    this.shown = null
    this.draw()
    this.pump()
  }

  // Make an example: the text of the newest decision becomes an example in the guideline of its label.
  teach() {
    if (this.mode !== "review" || !this.newest) return
    this.edited = { why_of: this.newest, words: this.reason }
    this.outbox.add({ id: randomName(), ...this.edited })
    this.newest = null
    this.notice = "The text of your newest decision becomes an example in the guideline."
    this.shown = null
    this.draw()
    this.pump()
  }

  // Takes the last edit of a guideline back, if it was the last thing that was done here. Returns whether it was.
  undoMeaning() {
    if (!this.edited) return false
    this.outbox.add({ id: randomName(), ...this.edited, undo: true })
    this.edited = null
    this.notice = "Undoing your newest change of a guideline."
    this.status()
    this.pump()
    return true
  }

  toggleFlag() {
    if (!this.card || this.mode !== "review") return
    const { card } = this
    if (card.flag) this.saveFlag(card, false, "")
    else this.openNote("", "Flag this text for a colleague. You can write a comment.", (words) => this.saveFlag(card, true, words))
  }

  saveFlag(card, raised, comment) {
    card.flag = raised ? ["you", "", comment] : null
    this.outbox.add({ id: randomName(), flag: card.id, raised, comment })
    this.notice = raised ? "Flagged. The queue \u201cflagged\u201d has this text; F removes the flag." : "The flag is removed."
    this.shown = null
    this.draw()
    this.pump()
  }
}
