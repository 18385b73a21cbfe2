// Brings what the fragment says to the desk, and the way to answer it.

export default function (component) {
  globalThis.redWire = component
  document.dispatchEvent(new CustomEvent("red-wire"))
  return () => delete globalThis.redWire
}
