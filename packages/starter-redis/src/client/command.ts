/** A command for the server. */
export interface Command {
  readonly name: string;
  readonly args: (string | Buffer | number)[];
}
