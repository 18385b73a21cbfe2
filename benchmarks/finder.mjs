// The finder of the desk over many labels: `node benchmarks/finder.mjs 10000`. It prints, for some typed words, the
// milliseconds of the first search and the fastest of seven. The elements of the page are stubs: only the search counts.

import { readFileSync } from "node:fs"

const COUNT = Number(process.argv[2] ?? 10_000)
const TYPED = ["l", "label 77", "topic 5", "field 12 label", "zzz", "thing 999"]
const FILES = ["words", "groups", "picker"]
const folder = new URL("../widgets/review/desk/", import.meta.url)
const program = FILES.map((name) => readFileSync(new URL(`${name}.js`, folder), "utf8")).join("\n")

const nothing = () => undefined
const element = () => ({
  setAttribute: nothing, removeAttribute: nothing, append: nothing, prepend: nothing, replaceChildren: nothing,
  focus: nothing, hidden: true, value: "",
})
globalThis.document = { createElement: element, createDocumentFragment: element }

const { Picker, Groups, inWords } = new Function(`${program}; return { Picker, Groups, inWords }`)()
const labels = new Map()
for (let id = 0; id < COUNT; id++) {
  const path = [`Area ${id % 10}`, `Field ${id % 100}`, `Topic ${id % 1000}`]
  const [name, meaning] = [`label number ${id}`, `about the thing ${id}`]
  const key = inWords(name)
  const pathKey = inWords(`${path.join(" ")} ${name}`)
  labels.set(id, { id, name, meaning, path, key, pathKey, words: key.split(" "), meaningKey: meaning })
}
const picker = new Picker(nothing, nothing)
picker.open(labels, new Groups(labels.values()), [1, 2, 3], null)
console.log("typed, first ms, fastest ms")
for (const typed of TYPED) {
  const times = Array.from({ length: 7 }, () => {
    picker.input.value = typed
    const began = performance.now()
    picker.search()
    return performance.now() - began
  })
  console.log(`${typed}, ${times[0].toFixed(1)}, ${Math.min(...times).toFixed(1)}`)
}
