// The desk: cards ahead are here before they are needed, a key decides at once, and the outbox carries it to the store.

const LOW = 84 // cards ahead; with fewer, more are asked for
const REFRESH = 25 // acts until the counts beside the desk are drawn anew
const HISTORY = 500 // cards kept to go back to without asking
const PATIENCE = { act: 3000, explain: 120000 } // milliseconds until a message is sent again

class Desk {
  constructor(root) {
    this.root = root
    this.cards = []
    this.back = []
    this.labels = new Map()
    this.common = new Set()
    this.done = 0
    this.seconds = []
    this.tick = 0
    this.handled = -1
    this.unseen = 0
    this.inflight = null
    this.fresh = true
    this.notice = ""
    this.reason = ""
    this.onKey = (event) => this.key(event)
    document.addEventListener("keydown", this.onKey, true)
    this.build()
  }

  destroy() {
    document.removeEventListener("keydown", this.onKey, true)
    clearTimeout(this.timer)
  }

  // --- what the server says

  update(data, send) {
    this.send = send
    this.name = data.name
    if (this.outbox?.store !== data.store) this.outbox = new Outbox(data.store)
    if (this.mode !== data.mode) this.back = []
    this.mode = data.mode
    this.empty = data.empty
    this.who = data.who
    if (data.labels) this.learn(data.labels, data.common)
    this.labelsVersion = data.labels ? data.labels_version : this.labelsVersion
    const moved = this.queue !== data.queue
    if (moved) this.begin(data.queue)
    if (data.tick >= (this.inflight?.tick ?? 0)) this.answered()
    this.tick = Math.max(this.tick, data.tick)
    if (data.tick > this.handled) this.unseen += data.acked.length
    this.outbox.acknowledge(data.acked)
    if (data.tick > this.handled) {
      for (const { why, card } of data.refused) this.bringBack(card, why)
      for (const card of data.returned) this.comeBack(card)
      if (data.said) this.more = data.said
      this.handled = data.tick
    }
    const gone = new Set(data.gone)
    const first = this.cards[0]
    this.cards = this.cards.filter((card) => card === first || !gone.has(card.id))
    const held = new Set([...this.cards.map((card) => card.id), ...this.outbox.acts.map((act) => act.card)])
    this.cards.push(...data.cards.filter((card) => !held.has(card.id)))
    this.rest = data.rest
    this.missing = ((this.fresh || moved) && !data.whole) || this.labelsVersion !== data.labels_version
    this.fresh = false
    this.draw()
    this.pump()
    this.refresh()
  }

  // What stands beside the desk is drawn anew now and then, and when a queue has come to its end.
  refresh() {
    const ended = !this.cards.length && !this.rest && !this.inflight && !this.outbox.acts.length && this.done > 0
    if (this.unseen < REFRESH && (!ended || this.ended)) return
    this.unseen = 0
    this.ended = ended
    this.wake?.()
  }

  begin(queue) {
    this.queue = queue
    this.cards = []
    this.back = []
    this.notice = ""
    this.ended = false
    if (!this.fresh) document.activeElement?.blur?.() // what was chosen is chosen: keys are the desk's again
  }

  learn(rows, common) {
    this.labels = new Map(
      rows.map(([id, name, meaning]) => {
        const key = inWords(name)
        return [id, { id, name, meaning, key, words: key.split(" "), meaningKey: meaning.toLowerCase() }]
      }),
    )
    this.common = new Set(common)
  }

  // A decision was refused: its card comes next, with what changed since.
  bringBack(card, why) {
    this.notice = `Not saved: ${why}.`
    this.done = Math.max(0, this.done - 1)
    if (!card) return
    this.notice += " Its card comes next, as it is now."
    this.back = this.back.map((past) => (past.card.id === card.id ? { ...past, refused: true } : past))
    this.cards = this.cards.filter((other, place) => place === 0 || other.id !== card.id)
    if (this.cards[0]?.id === card.id) this.cards[0] = card
    else this.cards.splice(this.cards.length ? 1 : 0, 0, card)
  }

  comeBack(card) {
    this.cards = [card, ...this.cards.filter((other) => other.id !== card.id)]
    this.arrived = 0
  }

  // --- what it says to the server: one message at a time, sent again until it is answered

  pump(want = null) {
    if (want) this.want = want
    if (this.inflight || !this.send) return
    const short = this.cards.length < LOW && this.rest > 0
    if (!this.outbox.acts.length && !short && !this.want && !this.missing) return
    this.tick += 1
    const patience = this.want?.kind === "explain" ? PATIENCE.explain : PATIENCE.act
    this.inflight = { tick: this.tick }
    this.send("message", {
      tick: this.tick,
      store: this.outbox.store,
      queue: this.queue,
      labels: this.missing ? "" : this.labelsVersion,
      held: this.cards.map((card) => card.id),
      acts: this.outbox.acts.slice(0, 60).map(({ card, ...act }) => act),
      want: this.want ?? null,
    })
    this.want = null
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.unanswered(patience), patience)
    this.status()
  }

  answered() {
    this.inflight = null
    this.late = false
    this.woken = false
    clearTimeout(this.timer)
  }

  // A server that was started anew has to run the whole page before it knows this desk: asked in turn with sending again.
  unanswered(patience) {
    this.woken = !this.woken
    if (this.woken) {
      this.wake()
      this.timer = setTimeout(() => this.unanswered(patience), patience)
    } else {
      this.inflight = null
      this.pump()
    }
    this.late = true
    this.status()
  }

  // --- what a key does

  get card() {
    return this.cards[0]
  }

  decide(kind, label = null) {
    const card = this.card
    if (!card) return
    if (!this.reasonInput.hidden) this.reason = this.reasonInput.value.trim()
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
    const past = this.back.pop()
    if (past?.refused) {
      this.notice = "That was not saved, so there is nothing to undo. Press again for the one before."
      this.status()
      return
    }
    const act = { id: randomName(), kind: "undo" }
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

  accept() {
    if (this.mode === "review") this.decide("accept", this.card?.label)
  }

  relabel(label) {
    if (this.mode === "audit") this.decide("label", label)
    else this.decide(label === this.card?.label ? "accept" : "relabel", label)
  }

  number(place) {
    const label = this.choices()[place]
    if (label !== undefined) this.relabel(label)
  }

  choices() {
    if (!this.card) return []
    return this.mode === "audit" ? this.card.options : this.card.suggestions
  }

  openPicker() {
    if (this.card) this.picker.open(this.labels, this.mode === "audit" ? [] : [this.card.label, ...this.card.suggestions])
  }

  ask(kind) {
    if (this.more?.kind === kind) this.close()
    else if (this.card) this.pump({ kind, card: this.card.id })
  }

  close() {
    this.more = null
    this.drawMore(this.card)
  }

  // A text that was not sent whole is asked for; one that only does not fit gets the room it needs.
  whole() {
    if (this.card?.cut) this.ask("whole")
    else this.textBox.classList.toggle("tall")
  }

  key(event) {
    if (event.repeat && event.composedPath().includes(this.root) && ["Enter", " "].includes(event.key)) {
      event.preventDefault() // a key that is held counts once, on a button as well
    }
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    const target = event.composedPath()[0]
    if (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)) return
    const key = event.key.toLowerCase()
    if (key === "escape" && this.more) this.close()
    const act = this.keys[key] ?? (/^[0-9]$/.test(key) ? () => this.number((Number(key) + 9) % 10) : null)
    if (!act) return
    event.preventDefault()
    event.stopPropagation()
    act()
  }

  // --- what is drawn

  build() {
    const button = (key, words, act, className = "") => {
      const made = node("button", className, node("kbd", "", key), node("span", "", words))
      made.type = "button"
      made.onclick = act
      return made
    }
    const actions = {
      accept: ["A", "Accept", () => this.accept(), "main"],
      reject: ["X", "Not this label", () => this.mode === "review" && this.decide("reject", this.card?.label)],
      none: ["N", "None of these", () => this.decide("none")],
      skip: ["S", "Skip", () => this.decide(this.mode === "audit" ? "cannot tell" : "skip")],
      undo: ["U", "Undo", () => this.undo()],
      find: ["/", "Find label", () => this.openPicker()],
      why: ["W", "Why", () => this.mode === "review" && this.openReason()],
      history: ["H", "History", () => this.mode === "review" && this.ask("history")],
      whole: ["T", "Whole text", () => this.whole()],
      explain: ["E", "Explain", () => this.card?.explains && this.ask("explain")],
    }
    this.keys = Object.fromEntries(Object.values(actions).map(([key, , act]) => [key.toLowerCase(), act]))
    this.buttons = Object.fromEntries(Object.entries(actions).map(([name, spec]) => [name, button(...spec)]))
    for (const [name, made] of Object.entries(this.buttons)) made.dataset.act = name
    this.numbers = Array.from({ length: 10 }, (_, place) => button(String((place + 1) % 10), "", () => this.number(place)))
    this.picker = new Picker((label) => this.relabel(label), () => this.buttons.find.focus({ preventScroll: true }))
    this.reasonInput = node("input", "reason")
    this.reasonInput.type = "text"
    this.reasonInput.maxLength = 2000
    this.reasonInput.placeholder = "Why? It goes with your next decision on this card. Enter keeps it, Escape drops it."
    this.reasonInput.setAttribute("aria-label", "Reason for the decision")
    this.reasonInput.hidden = true
    this.reasonInput.onkeydown = (event) => this.reasonKey(event)
    this.line = node("div", "line")
    this.told = node("div", "notice")
    this.told.setAttribute("aria-live", "polite")
    this.textBox = node("div", "text-box")
    this.sideBox = node("div", "face")
    const over = node("div", "over", this.picker.panel, this.reasonInput) // over the card, so that its text stays in sight
    const { accept, reject, none, skip, undo, find, why, history, whole, explain } = this.buttons
    this.below = node("div", "below")
    this.root.replaceChildren(
      this.line, this.told, this.textBox, over, this.sideBox, node("div", "row", accept, reject, none, skip, undo),
      node("div", "row numbers", ...this.numbers),
      node("div", "row small", find, why, history, whole, explain), this.below,
    )
  }

  openReason() {
    if (!this.card) return
    this.reasonInput.hidden = false
    this.reasonInput.value = this.reason
    this.reasonInput.focus({ preventScroll: true })
  }

  reasonKey(event) {
    if (event.key !== "Enter" && event.key !== "Escape") return
    event.preventDefault()
    event.stopPropagation()
    this.reason = event.key === "Enter" ? this.reasonInput.value.trim() : ""
    this.reasonInput.hidden = true
    this.buttons.why.focus({ preventScroll: true })
    this.status()
  }

  draw() {
    const card = this.card
    const shown = card ? `${this.queue} ${card.id} ${card.seen} ${card.decided}` : ""
    if (shown !== this.shown || !card) {
      this.shown = shown
      this.more = this.more?.card === card?.id ? this.more : null
      this.reasonInput.hidden = true
      this.reason = ""
      this.drawFace(card)
      this.drawButtons(card)
      this.arrived = performance.now()
    }
    if (!this.arrived) this.arrived = performance.now()
    this.drawMore(card)
    this.status()
  }

  drawFace(card) {
    this.textBox.classList.remove("tall")
    if (!card) {
      const waits = this.rest > 0 || this.inflight
      const words = waits ? "Loading the next cards\u2026" : this.done ? "All done here." : this.empty
      this.textBox.replaceChildren()
      this.sideBox.replaceChildren(node("div", "empty", words))
      return
    }
    this.textBox.replaceChildren(drawText(card))
    if (this.mode === "audit") {
      const told = "Which label is right? What the machine thinks is hidden, the order is random."
      this.sideBox.replaceChildren(node("div", "quiet", told))
    } else {
      this.sideBox.replaceChildren(node("div", "sides", ...drawSides(card, this.labels, this.common)))
    }
    if (this.textBox.getBoundingClientRect().top < 0) this.textBox.scrollIntoView({ block: "start" })
  }

  drawButtons(card) {
    const audit = this.mode === "audit"
    const { accept, reject, none, skip, find, why, history, whole, explain } = this.buttons
    for (const made of [accept, reject, why, history]) made.hidden = audit
    for (const made of [accept, reject, none, skip, find, why, history]) made.disabled = !card
    const text = this.textBox.firstChild
    whole.hidden = !card || !(card.cut || text.scrollHeight > text.clientHeight + 2)
    explain.hidden = !card?.explains
    skip.lastChild.textContent = audit ? "Cannot tell" : "Skip"
    const mine = card && !audit ? this.labels.get(card.label).name : ""
    const overturns = { valid: ["", " (overturns the judge)"], invalid: [" (overturns the judge)", ""] }[card?.outcome]
    accept.lastChild.textContent = `Accept${mine && `: ${mine}`}${overturns?.[0] ?? ""}`
    reject.lastChild.textContent = `Not this label${overturns?.[1] ?? ""}`
    const likelier = card && !audit && (card.rivalBelief ?? 0) > (card.belief ?? 0)
    const sure = Math.max(card?.rivalBelief ?? 0, card?.belief ?? 0) >= 0.5
    accept.classList.toggle("main", Boolean(sure && !likelier))
    const choices = this.choices()
    this.numbers.forEach((made, place) => {
      const label = this.labels.get(choices[place])
      made.hidden = !label
      made.classList.toggle("main", Boolean(sure && likelier && choices[place] === card.rival))
      made.classList.toggle("wide", audit)
      if (label) made.lastChild.replaceChildren(label.name, audit && label.meaning ? node("span", "quiet", ` ${label.meaning}`) : "")
    })
    if (card?.cut) whole.lastChild.textContent = `Whole text, ${card.size.toLocaleString()} characters`
    else whole.lastChild.textContent = "Whole text"
  }

  drawMore(card) {
    const said = this.more && card && this.more.card === card.id ? this.more : null
    if (!said) {
      this.below.replaceChildren()
    } else if (said.kind === "history") {
      const rows = said.rows.map(([at, who, what]) => node("div", "event", node("span", "quiet", `${at}  ${who}`), node("span", "", what)))
      this.below.replaceChildren(node("b", "", "What happened to this text"), ...rows)
      this.below.scrollIntoView({ block: "nearest" })
    } else {
      const words = node("div", "said", said.words)
      words.dir = "auto"
      this.below.replaceChildren(node("b", "", said.title), words)
      this.below.scrollIntoView({ block: "nearest" })
    }
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
    const saved = waits && this.late ? `${waits} waiting to be saved; kept in this tab` : waits ? "saving\u2026" : "all saved"
    this.line.replaceChildren(node("span", "", facts.filter(Boolean).join("  \u00b7  ")), node("span", "saved", saved))
    const decided = this.card?.decided ? `Decided: ${this.card.decided}. Another decision replaces it.` : ""
    this.told.textContent = this.notice || decided
  }
}

const desks = new WeakMap()

// Drawn outside the fragment, so that this program is not sent again with every decision: wire.js brings what changes.
export default function (component) {
  const { parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".desk")
  if (!desks.has(root)) {
    const desk = new Desk(root)
    const hear = () => desk.update(globalThis.redWire.data, globalThis.redWire.setStateValue)
    document.addEventListener("red-wire", hear)
    desks.set(root, { desk, hear })
    if (globalThis.redWire) hear()
  }
  const { desk, hear } = desks.get(root)
  desk.wake = () => setTriggerValue("wake", Date.now())
  return () => {
    document.removeEventListener("red-wire", hear)
    desk.destroy()
    desks.delete(root)
  }
}
