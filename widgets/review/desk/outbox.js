// Key presses that the server has not acknowledged. They are kept in the tab's storage, so that neither a reload nor a
// killed server loses one. Each has a random id, so that one that is sent twice is carried out once.

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

  acknowledge(ids) {
    if (!ids.length) return
    const acknowledged = new Set(ids)
    this.acts = this.acts.filter((act) => !acknowledged.has(act.id))
    this.keep()
  }

  keep() {
    try {
      sessionStorage.setItem(this.store, JSON.stringify(this.acts))
    } catch {
      // The storage is full: the key presses are still in memory, and are still sent.
    }
  }
}
