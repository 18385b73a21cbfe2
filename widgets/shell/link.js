// A link that leads to the door: the provider sends a browser back to the first page, so the tab remembers where to.
const KEPT = "red-link"

export default function ({ data }) {
  if (data.shut) {
    if (location.pathname !== "/") sessionStorage.setItem(KEPT, location.pathname + location.search)
    return
  }
  const link = sessionStorage.getItem(KEPT)
  sessionStorage.removeItem(KEPT)
  if (link && /^\/[^/\\]/.test(link)) location.replace(link)
}
