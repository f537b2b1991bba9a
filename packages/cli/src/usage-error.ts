/** What the user typed or wrote is not right. */
export class UsageError extends Error {
  /** What to type next. */
  readonly next: string | undefined;

  constructor(message: string, next?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UsageError";
    this.next = next;
  }
}
