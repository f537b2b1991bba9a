/** Topological order of collections by their foreign keys, with the circles in them found as strongly connected components. */

/** What refers to what, by name. */
export type References = ReadonlyMap<string, ReadonlySet<string>>;

/** An order in which what is referred to comes first. */
interface Ordered {
  readonly names: readonly string[];
  /** Names that refer to each other in a circle, and those that refer to themselves. */
  readonly circles: readonly (readonly string[])[];
}

/** Tarjan's algorithm: it gives the components with what they refer to first, which is the order that is wanted. */
export function orderByReferences(names: readonly string[], references: References): Ordered {
  const known = new Set(names);
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const ordered: string[] = [];
  const circles: string[][] = [];
  const to = (name: string) => [...(references.get(name) ?? [])].filter((other) => known.has(other));
  const begin = (name: string) => {
    index.set(name, index.size);
    low.set(name, index.get(name)!);
    stack.push(name);
    onStack.add(name);
    return { name, next: to(name)[Symbol.iterator]() };
  };
  for (const root of names) {
    if (index.has(root)) continue;
    // Without recursion: chains of references may be long.
    const path = [begin(root)];
    while (path.length > 0) {
      const { name, next } = path.at(-1)!;
      const { value: other, done } = next.next();
      if (!done) {
        if (!index.has(other)) path.push(begin(other));
        else if (onStack.has(other)) low.set(name, Math.min(low.get(name)!, index.get(other)!));
        continue;
      }
      path.pop();
      const before = path.at(-1);
      if (before) low.set(before.name, Math.min(low.get(before.name)!, low.get(name)!));
      if (low.get(name) !== index.get(name)) continue;
      const component = stack.splice(stack.lastIndexOf(name));
      for (const member of component) onStack.delete(member);
      ordered.push(...component);
      if (component.length > 1 || to(name).includes(name)) circles.push(component);
    }
  }
  return { names: ordered, circles };
}
