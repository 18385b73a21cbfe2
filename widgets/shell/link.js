// After signing in, the provider sends the browser to the first page. So the tab remembers the link it was opened with.
const KEY = "red-link"

export default function ({ data }) {
  if (data.shut) {
    if (location.pathname !== "/") sessionStorage.setItem(KEY, location.pathname + location.search)
    return
  }
  const link = sessionStorage.getItem(KEY)
  sessionStorage.removeItem(KEY)
  if (link && /^\/[^/\\]/.test(link)) location.replace(link)
}
