// Nothing here, or anywhere in the desk, makes markup of words: every node is created, every word is textContent.

function node(tag, className, ...children) {
  const made = document.createElement(tag)
  if (className) made.className = className
  made.append(...children.filter((child) => child !== null && child !== undefined))
  return made
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" })

function segments(text) {
  return [...segmenter.segment(text)].map((part) => [part.segment, part.isWordLike ? part.segment.toLowerCase() : ""])
}

// The words of a text that say something: not those every text has.
function tellingWords(text, common) {
  return new Set(segments(text).map(([, word]) => word).filter((word) => word.length > 1 && !common.has(word)))
}

function withMarks(text, shared) {
  const made = document.createDocumentFragment()
  let plain = ""
  for (const [segment, word] of segments(text)) {
    if (!word || !shared.has(word)) {
      plain += segment
      continue
    }
    made.append(plain, node("mark", "", segment))
    plain = ""
  }
  made.append(plain)
  return made
}

// A name as its words, whatever stands between them: card_not_working and card-not working are the same.
function inWords(name) {
  return name.toLowerCase().split(/[\s_./-]+/).filter(Boolean).join(" ")
}

// How well a label fits what was typed, Infinity where it does not: a lower number is a better fit.
function misfit(label, typed) {
  const { key, words } = label
  if (key === typed) return 0
  if (key.startsWith(typed)) return 1
  if (key.includes(typed)) return 2
  const parts = typed.split(" ").filter(Boolean)
  if (parts.every((part) => words.some((word) => word.startsWith(part)))) return 3
  if (parts.every((part) => key.includes(part))) return 4
  if (parts.every((part) => key.includes(part) || label.meaningKey.includes(part))) return 5
  return isSubsequence(typed.replaceAll(" ", ""), key) ? 6 : Infinity
}

function isSubsequence(letters, text) {
  let place = -1
  for (const letter of letters) {
    place = text.indexOf(letter, place + 1)
    if (place < 0) return false
  }
  return true
}
