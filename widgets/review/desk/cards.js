// Draws a card. Every part keeps its position from card to card.

const EXAMPLE_LENGTH = 240
const OUTCOMES = { valid: "\u2713", invalid: "\u2715", unsure: "?", refused: "!", unparseable: "!" }

function drawText(card, whole) {
  const text = node("div", "text", whole ?? card.content)
  text.dir = "auto"
  return text
}

function drawSide(role, label, belief, meaning) {
  const shown = belief === null ? "" : `confidence ${(100 * belief).toFixed(0)}%`
  return [
    node("div", "side-head", node("span", "quiet", `${role} `), node("b", "", label.name), node("span", "belief", shown)),
    node("div", "meaning", meaning),
  ]
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
  const badge = node("span", `badge ${card.outcome}`, `${OUTCOMES[card.outcome] ?? ""} ${card.outcome.toUpperCase()}`)
  return node("div", "verdict", badge, node("span", "quiet", ` ${card.judge}`))
}

function drawSides(card, labels, common) {
  const mine = labels.get(card.label)
  const rival = labels.get(card.rival)
  const shared = tellingWords(card.content, common)
  const likelier = card.rivalBelief !== null && card.belief !== null && card.rivalBelief > card.belief
  const left = node("div", "side", ...drawSide(card.asked ? "Suggested label" : "Most likely label", mine, card.belief, mine.meaning))
  left.append(drawVerdict(card), ...drawExamples(card.examples, shared))
  const right = node(
    "div", "side", ...drawSide(likelier ? "More likely now" : "Runner-up", rival, card.rivalBelief, rival.meaning),
  )
  right.append(node("div", "verdict quiet", card.why), ...drawExamples(card.rivalExamples, shared))
  return [left, right]
}
