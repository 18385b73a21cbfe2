// Acts that are not yet acknowledged. They are kept in the tab's storage, so that neither a reload nor a server that
// died loses one; each has a random name, so that one sent twice is carried out once.

function randomName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

class Outbox {
  constructor(store) {
    this.store = store
    this.acts = []
    try {
      this.acts = JSON.parse(sessionStorage.getItem(store) ?? "[]")
    } catch {
      this.acts = []
    }
  }

  add(act) {
    this.acts.push(act)
    this.keep()
  }

  acknowledge(names) {
    if (!names.length) return
    const done = new Set(names)
    this.acts = this.acts.filter((act) => !done.has(act.id))
    this.keep()
  }

  keep() {
    try {
      sessionStorage.setItem(this.store, JSON.stringify(this.acts))
    } catch {
      // A full storage: the acts are still in memory, and still sent.
    }
  }
}
