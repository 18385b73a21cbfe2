// The guideline of a label, over the card: what belongs to it, what does not, and examples with the reason behind each.

// `save` gets what belongs to the label and what does not; `examples` is the element that gets the examples.
function drawGuideline(label, examples, save, close) {
  const belongs = guidelineField("Belongs to this label", label.meaning)
  const excludes = guidelineField("Does not belong", label.excludes)
  const button = node("button", "main", "Save the guideline")
  button.type = "button"
  const keep = () => save(belongs.lastChild.value.trim(), excludes.lastChild.value.trim())
  button.onclick = keep
  const fields = node("div", "sides", belongs, excludes)
  fields.onkeydown = (event) => {
    if (event.key === "Escape") close()
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) keep()
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const groups = label.path.length ? node("span", "quiet", `${label.path.join(PATH)}${PATH}`) : ""
  return [
    node("div", "", groups, node("b", "", label.name)), fields,
    node("div", "row", button, node("span", "quiet", "Ctrl and Enter save it, Escape closes without saving.")), examples,
  ]
}

function guidelineExamples(examples) {
  const rows = examples.map(([kind, content, why, who]) => {
    const words = node("span", "", content)
    words.dir = "auto"
    if (why) words.append(node("div", "quiet", `Why: ${why}`))
    return node("div", "event", node("span", "quiet", `${kind === "good" ? "\u2713 belongs" : "\u2715 does not"}  ${who}`), words)
  })
  const none = "No example yet. After a decision, Y makes its text an example, with your reason."
  return rows.length ? rows : [node("div", "quiet", none)]
}

function guidelineField(words, value) {
  const input = node("textarea", "")
  input.rows = 3
  input.maxLength = LONGEST_MEANING
  input.value = value
  return node("label", "", node("span", "quiet", words), input)
}
