// The groups of the labels, for the finder: a label has a path of groups, from the outermost to its own.

const PATH = " \u203a "

class Groups {
  constructor(labels) {
    this.all = new Map()
    for (const { path } of labels) {
      for (let depth = 1; depth <= path.length; depth++) {
        const key = path.slice(0, depth).join("\0")
        const known = this.all.get(key)
        if (known) known.count += 1
        else this.all.set(key, makeGroup(path.slice(0, depth)))
      }
    }
  }

  // The groups directly inside a group; all of them if something was typed.
  inside(scope, typed) {
    const found = []
    for (const group of this.all.values()) {
      if (isInside(group.path, scope) && group.path.length > scope.length) {
        if (typed || group.path.length === scope.length + 1) found.push(group)
      }
    }
    return found
  }
}

function makeGroup(path) {
  const key = inWords(path[path.length - 1])
  return { path, count: 1, key, words: key.split(" "), meaningKey: "", pathKey: inWords(path.join(" ")), group: true }
}

function isInside(path, scope) {
  return scope.every((name, depth) => path[depth] === name)
}
