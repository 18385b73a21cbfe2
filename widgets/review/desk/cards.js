// Draws a card. Every part keeps its position from card to card.

const EXAMPLE_LENGTH = 240
const OUTCOMES = { valid: "\u2713", invalid: "\u2715", unsure: "?", refused: "!", unparseable: "!" }

function drawText(card, whole) {
  const text = node("div", "text", whole ?? card.content)
  text.dir = "auto"
  text.setAttribute("role", "region")
  text.setAttribute("aria-label", "Text to decide")
  text.tabIndex = 0
  return text
}

// The columns of the source files that the analyst chose, and the flag.
function drawFacts(card) {
  const facts = (card.facts ?? []).map(([name, value]) => node("span", "fact", node("span", "quiet", `${name} `), value))
  if (card.flag) {
    const [who, at, comment] = card.flag
    facts.push(node("span", "fact flag", `\u2691 Flagged by ${who}${at && `, ${at} UTC`}${comment && `: ${comment}`}`))
  }
  return facts.length ? node("div", "facts", ...facts) : node("div", "")
}

// One of the two labels of a card, with the key that gives it.
function drawSide(role, label, belief, key) {
  const shown = belief === null ? "" : `confidence ${(100 * belief).toFixed(0)}%`
  const name = node("b", "", label.name)
  const groups = label.path.length ? node("span", "quiet", `${label.path.join(PATH)}${PATH}`) : null
  name.setAttribute("role", "heading")
  name.setAttribute("aria-level", "2")
  const bar = node("div", "bar", node("div", "bar-full"))
  bar.setAttribute("aria-hidden", "true") // the number beside it says the same
  bar.firstChild.style.width = `${100 * (belief ?? 0)}%`
  const head = node("div", "side-head", key ? node("kbd", "", key) : null, node("span", "quiet", `${role} `), groups, name)
  head.append(node("span", "belief", shown))
  const side = node("div", "side", head, bar, node("div", "meaning", label.meaning))
  if (label.excludes) side.append(node("div", "meaning", `Not: ${label.excludes}`))
  side.setAttribute("role", "region")
  side.setAttribute("aria-label", `${role}: ${label.name}`)
  side.tabIndex = 0 // it scrolls, so the keyboard must reach it
  return side
}

function drawExamples(examples, shared) {
  if (!examples.length) return [node("div", "quiet", "There is no other valid text of this label to show.")]
  return examples.map(([similarity, origin, content]) => {
    const short = content.length > EXAMPLE_LENGTH ? `${content.slice(0, EXAMPLE_LENGTH).trimEnd()}\u2026` : content
    const words = node("span", "example-words", withMarks(short, shared))
    words.dir = "auto"
    if (short !== content) words.title = content
    return node("div", "example", node("span", "quiet", `${similarity.toFixed(2)} ${origin}`), words)
  })
}

function drawVerdict(card) {
  if (!card.judge) return node("div", "verdict quiet", card.asked ? "The judge was not asked yet." : "The judge was never asked about this label.")
  if (!card.outcome) return node("div", "verdict quiet", card.judge)
  const badge = node("span", `badge ${card.outcome}`, `${OUTCOMES[card.outcome] ?? ""} ${card.outcome.toUpperCase()}`)
  return node("div", "verdict", badge, node("span", "quiet", ` ${card.judge}`))
}

function drawSides(card, labels, common) {
  const mine = labels.get(card.label)
  const rival = labels.get(card.rival)
  const shared = tellingWords(card.content, common)
  const likelier = card.rivalBelief !== null && card.belief !== null && card.rivalBelief > card.belief
  const left = drawSide(card.asked ? "Suggested label" : "Most likely label", mine, card.belief, "A")
  left.append(drawVerdict(card), ...drawExamples(card.examples, shared))
  const number = card.suggestions.indexOf(card.rival) + 1
  const right = drawSide(likelier ? "More likely now" : "Runner-up", rival, card.rivalBelief, number ? String(number) : "")
  right.append(node("div", "verdict quiet", card.why), ...drawExamples(card.rivalExamples, shared))
  return [left, right]
}
