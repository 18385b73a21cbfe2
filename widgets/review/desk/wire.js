// Hands the data of the fragment to the desk, and the function that sends the answer.

export default function (component) {
  globalThis.redWire = component
  document.dispatchEvent(new CustomEvent("red-wire"))
  return () => delete globalThis.redWire
}
