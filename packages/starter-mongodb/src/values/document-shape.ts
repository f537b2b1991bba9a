import { setField } from "@omni/p2p-core/starter";

/** Shapes kept at most in one tree: where every document has names of its own, there is nothing to gain. */
const MAX_SHAPES = 4096;
/** Fields of an object that take part at most. */
const MAX_FIELDS = 256;

/**
 * Field names in the order in which they came: a node of a tree in which each step is one more name. The documents of a
 * collection mostly have the same names in the same order. A name that is expected is recognised by its bytes, without
 * decoding it, and an object is a copy of the last one of its shape with other values: built field by field, an object
 * of more than some sixteen fields becomes a hash table, which is slow to fill and slow for all who use it later.
 */
export class Shape {
  /** The last field of this shape, as the objects made of it call it. */
  readonly field: string;
  /** How many fields it has. */
  readonly size: number;
  /** The name as BSON has it, with the NUL that ends it. */
  readonly bytes: Uint8Array;
  /** The step that was taken last from here. */
  next: Shape | undefined;
  readonly #name: string;
  readonly #tree: Tree;
  readonly #parent: Shape | undefined;
  #steps: Map<string, Shape> | undefined;
  #fields: readonly string[] | undefined;
  #blank: Record<string, unknown> | undefined;

  private constructor(tree: Tree, parent: Shape | undefined, name: string) {
    this.#tree = tree;
    this.#parent = parent;
    this.#name = name;
    this.field = tree.rename(name);
    this.size = parent === undefined ? 0 : parent.size + 1;
    this.bytes = Buffer.from(`${name}\0`);
  }

  /**
   * The shape of an object without fields, from which all others are reached.
   *
   * @param rename what the fields of the objects are called
   */
  static root(rename: (name: string) => string = (name) => name): Shape {
    return new Shape({ rename, shapes: 0 }, undefined, "");
  }

  /** The shape with this name added, or `undefined` when there are too many already. */
  with(name: string): Shape | undefined {
    if (this.next !== undefined && this.next.#name === name) return this.next;
    let shape = this.#steps?.get(name);
    if (shape === undefined) {
      if (this.size >= MAX_FIELDS || this.#tree.shapes >= MAX_SHAPES) return undefined;
      this.#tree.shapes++;
      shape = new Shape(this.#tree, this, name);
      this.#steps ??= new Map();
      this.#steps.set(name, shape);
    }
    this.next = shape;
    return shape;
  }

  /** The fields in their order, as the objects call them. */
  get fields(): readonly string[] {
    if (this.#fields === undefined) {
      const fields: string[] = [];
      for (let at: Shape = this; at.#parent !== undefined; at = at.#parent) fields.push(at.field);
      this.#fields = fields.reverse();
    }
    return this.#fields;
  }

  /** An object of this shape, with the values that stand in the list from this place on. */
  object<T>(values: readonly T[], from: number): Record<string, T> {
    const { fields } = this;
    if (this.#blank === undefined) {
      const object: Record<string, T> = {};
      for (let i = 0; i < fields.length; i++) setField(object, fields[i]!, values[from + i]);
      // The engine makes of JSON text what it does not make of single assignments: an object that stays fast.
      this.#blank = JSON.parse(`{${fields.map((field) => `${JSON.stringify(field)}:null`).join()}}`);
      return object;
    }
    const object = { ...this.#blank } as Record<string, T>;
    // A field `__proto__` is there already, as an own one, and is assigned to like any other.
    for (let i = 0; i < fields.length; i++) object[fields[i]!] = values[from + i]!;
    return object;
  }
}

/** What the shapes of a tree have in common. */
interface Tree {
  readonly rename: (name: string) => string;
  shapes: number;
}
