// The function that Streamlit calls. The desk is drawn outside the fragment that serves it, so that a decision does not
// send this program again: wire.js brings what changes.

const desks = new WeakMap()

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
