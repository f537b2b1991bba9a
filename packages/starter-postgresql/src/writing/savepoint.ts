/** A savepoint within a transaction: statements that may be refused without harm to what came before. */
import { sqlState } from "../client/errors.ts";
import type { Session } from "../client/session.ts";

const NAME = '"p2p:row"';

/** One savepoint that is set anew for each attempt, so that they do not pile up. */
export class Savepoint {
  readonly #session: Session;
  readonly #checksDeferred: boolean;
  #isSet = false;

  /** @param checksDeferred whether constraints that wait for the end of the transaction are checked at the end of each attempt. */
  constructor(session: Session, checksDeferred: boolean) {
    this.#session = session;
    this.#checksDeferred = checksDeferred;
  }

  /** Does something, and takes it back when it throws. */
  async attempt<T>(work: () => Promise<T>): Promise<T> {
    await this.#session.script(this.#isSet ? `RELEASE ${NAME}; SAVEPOINT ${NAME}` : `SAVEPOINT ${NAME}`);
    this.#isSet = true;
    try {
      const result = await work();
      if (this.#checksDeferred) await this.#session.script("SET CONSTRAINTS ALL IMMEDIATE");
      return result;
    } catch (error) {
      // What came from the server leaves the transaction failed; what came from here leaves it with what was done.
      if (sqlState(error) !== undefined || typeof error === "symbol") await this.#session.script(`ROLLBACK TO ${NAME}`);
      throw error;
    }
  }
}
