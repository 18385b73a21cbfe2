// The first of three layers of the desk: its state, what the server sends, and what the desk sends back.

const LOW = 84 // with fewer cards than this in the tab, the desk asks for more
const REFRESH = 25 // key presses until the page around the desk is drawn again
const PATIENCE = { act: 3000, explain: 120000 } // milliseconds until a message is sent again

class DeskMessages {
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
  }

  get card() {
    return this.cards[0]
  }

  // --- what the server sends

  update(data, send) {
    this.send = send
    this.name = data.name
    this.project = data.project
    if (this.outbox?.store !== data.store) this.outbox = new Outbox(data.store)
    if (this.mode !== data.mode) Object.assign(this, { back: [], done: 0, seconds: [] })
    this.mode = data.mode
    this.empty = data.empty
    if (data.labels) this.learn(data.labels, data.common)
    this.labelsVersion = data.labels ? data.labels_version : this.labelsVersion
    const answers = this.inflight?.tick === data.tick
    const moved = this.queue !== data.queue
    const open = moved && this.isEditing() ? this.card : null
    if (moved) this.begin(data.queue, open)
    if (data.tick >= (this.inflight?.tick ?? 0)) this.answered()
    this.tick = Math.max(this.tick, data.tick)
    if (data.tick > this.handled) this.unseen += data.acked.length
    this.outbox.acknowledge(data.acked)
    if (data.tick > this.handled) {
      for (const { why, card, decision } of data.refused) this.bringBack(card, why, decision)
      for (const card of data.returned) this.comeBack(card)
      if (data.said) this.hear(data.said)
      if (data.told && answers) this.notice = data.told
      this.handled = data.tick
    }
    const gone = new Set(data.gone)
    const first = this.cards[0]
    this.cards = this.cards.filter((card) => card === first || !gone.has(card.id))
    const held = new Set([...this.cards.map((card) => card.id), ...this.outbox.acts.map((act) => act.card)])
    this.cards.push(...data.cards.filter((card) => !held.has(card.id)))
    if (open) this.comeFirst(this.cards.find((card) => card.id === open.id) ?? open)
    this.rest = data.rest
    this.missing = ((this.fresh || moved) && !data.whole) || this.labelsVersion !== data.labels_version
    this.fresh = false
    this.draw()
    this.pump()
    this.refresh()
  }

  // The page around the desk is drawn again from time to time, and when a queue has come to its end.
  refresh() {
    const ended = !this.cards.length && !this.rest && !this.inflight && !this.outbox.acts.length && this.done > 0
    if (this.unseen < REFRESH && (!ended || this.ended)) return
    this.unseen = 0
    this.ended = ended
    this.wake?.()
  }

  // What was asked for. A guideline is open already and gets its examples; what is typed in it is never replaced.
  hear(said) {
    const { more } = this
    const asked = more?.kind === said.kind && more.card === said.card
    if (said.kind.endsWith("guideline")) {
      if (asked) more.examples.replaceChildren(...guidelineExamples(said.examples))
    } else if (!this.isEditing()) this.more = said
  }

  // Whether a line or a guideline of the desk is open. Its card stays, whatever the queue becomes: what is typed would be lost,
  // and its letters would be keys of another card.
  isEditing() {
    const active = this.root.getRootNode().activeElement
    const typing = this.root.contains(active) && active.matches("input, textarea")
    return typing || !this.notePanel.hidden || !this.guidePanel.hidden
  }

  begin(queue, open) {
    this.queue = queue
    this.cards = []
    this.back = []
    this.notice = ""
    this.ended = false
    if (!this.fresh && !open) document.activeElement?.blur?.() // leave the chooser, so that keys reach the desk again
  }

  learn(rows, common) {
    this.labels = new Map(
      rows.map(([id, name, meaning, meaningId, path, excludes]) => {
        const key = inWords(name)
        const pathKey = path.length ? inWords(`${path.join(" ")} ${name}`) : key
        const words = key.split(" ")
        return [id, { id, name, meaning, meaningId, path, excludes, key, words, pathKey, meaningKey: meaning.toLowerCase() }]
      }),
    )
    this.groups = new Groups(this.labels.values())
    this.common = new Set(common)
  }

  // The server refused something. The card of a decision comes next, as it is now.
  bringBack(card, why, decision) {
    this.notice = `Not saved: ${why}.`
    if (!decision) return
    this.done = Math.max(0, this.done - 1)
    if (!card) return
    this.notice += " The card comes next, in its newest state. Decide it again."
    this.back = this.back.map((past) => (past.card.id === card.id ? { ...past, refused: true } : past))
    this.cards = this.cards.filter((other, index) => index === 0 || other.id !== card.id)
    if (this.cards[0]?.id === card.id) this.cards[0] = card
    else this.cards.splice(this.cards.length ? 1 : 0, 0, card)
  }

  // Behind the card on the screen while something is typed about that one.
  comeBack(card) {
    const open = this.isEditing() ? this.card : null
    this.comeFirst(card)
    if (open && open.id !== card.id) this.comeFirst(open)
    else this.arrived = 0
  }

  comeFirst(card) {
    this.cards = [card, ...this.cards.filter((other) => other.id !== card.id)]
  }

  // --- what the desk sends: one message at a time, repeated until the server answers

  pump(want = null) {
    if (want) this.want = want
    if (this.inflight || !this.send) return
    const short = this.cards.length < LOW && this.rest > 0
    if (!this.outbox.acts.length && !short && !this.want && !this.missing) return
    this.tick += 1
    const patience = this.want?.kind === "explain" ? PATIENCE.explain : PATIENCE.act
    this.inflight = { tick: this.tick }
    this.send("message", {
      project: this.project,
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

  // A restarted server must run the whole page before it knows this desk. So the desk asks in turn for a run of the
  // page, and sends its message again.
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
}
