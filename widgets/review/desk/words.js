// No part of the desk makes markup from text: every element is created, and every word is textContent.

function node(tag, className, ...children) {
  const element = document.createElement(tag)
  if (className) element.className = className
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" })

function segments(text) {
  return [...segmenter.segment(text)].map((part) => [part.segment, part.isWordLike ? part.segment.toLowerCase() : ""])
}

// In Chinese and Japanese, one sign can be a word.
const isLong = (word) => word.length > 1 || /\p{Script=Han}/u.test(word)

// The words of a text without the common ones, such as "the".
function tellingWords(text, common) {
  return new Set(segments(text).map(([, word]) => word).filter((word) => isLong(word) && !common.has(word)))
}

function withMarks(text, shared) {
  const fragment = document.createDocumentFragment()
  let plain = ""
  for (const [segment, word] of segments(text)) {
    if (!word || !shared.has(word)) {
      plain += segment
      continue
    }
    fragment.append(plain, node("mark", "", segment))
    plain = ""
  }
  fragment.append(plain)
  return fragment
}

// A name as its words, without what separates them: card_not_working and card-not working become the same.
function inWords(name) {
  return name.toLowerCase().split(/[\s_./-]+/).filter(Boolean).join(" ")
}

// How badly a label fits what was typed: 0 is the same name, Infinity is no fit. `parts` are the words of `typed`.
function misfit(label, typed, parts) {
  const { key, words } = label
  if (key === typed) return 0
  if (key.startsWith(typed)) return 1
  if (key.includes(typed)) return 2
  if (parts.every((part) => words.some((word) => word.startsWith(part)))) return 3
  if (parts.every((part) => key.includes(part))) return 4
  if (parts.every((part) => label.pathKey.includes(part))) return 5 // of its groups and its name
  if (parts.every((part) => label.pathKey.includes(part) || label.meaningKey.includes(part))) return 6
  return isSubsequence(parts.join(""), key) ? 7 : Infinity
}

function isSubsequence(letters, text) {
  let position = -1
  for (const letter of letters) {
    position = text.indexOf(letter, position + 1)
    if (position < 0) return false
  }
  return true
}
