// Figures are drawn in the ink of a theme, and Streamlit does not run the page again when a person changes the theme.
export default function ({ setTriggerValue }) {
  const app = document.querySelector("[data-testid=stApp]")
  const ink = () => getComputedStyle(app).color
  let drawn = ink()
  const watch = new MutationObserver(() => {
    if (ink() === drawn) return
    drawn = ink()
    setTriggerValue("changed", drawn)
  })
  globalThis.redTheme?.disconnect() // every run of the page calls this function again
  globalThis.redTheme = watch
  watch.observe(app, { attributes: true, attributeFilter: ["class"] })
  return () => watch.disconnect()
}
